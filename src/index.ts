/** The bundle: each entry in `dist/` calls one of these. */
export { main } from './main.ts';
export { post } from './post.ts';
export { setup } from './setup.ts';
