/** The bundle: `dist/main.js` and `dist/post.js` call one of these each. */
export { main } from './main.ts';
export { post } from './post.ts';
