import { expect, it } from '@jest/globals';
import { isGoTrue } from '../../../src/shared/go-boolean.ts';

it.each(['1', 't', 'T', 'true', 'TRUE', 'True'])('%j is true', (text) => {
  expect(isGoTrue(text)).toBe(true);
});

it.each(['', '0', 'f', 'tRUE', 'true\n', ' true', 'yes', '11'])('%j is not', (text) => {
  expect(isGoTrue(text)).toBe(false);
});
