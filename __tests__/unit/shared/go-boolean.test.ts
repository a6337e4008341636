import { expect, it } from '@jest/globals';
import { isGoTrue, parseGoBoolean } from '../../../src/shared/go-boolean.ts';

it.each(['1', 't', 'T', 'true', 'TRUE', 'True'])('%j is true', (text) => {
  expect(isGoTrue(text)).toBe(true);
});

it.each(['', '0', 'f', 'tRUE', 'true\n', ' true', 'yes', '11'])('%j is not', (text) => {
  expect(isGoTrue(text)).toBe(false);
});

it.each(['0', 'f', 'F', 'false', 'FALSE', 'False'])('%j is false', (text) => {
  expect(parseGoBoolean(text)).toBe(false);
});

it.each(['', 'no', 'fALSE', ' 0'])('%j is neither', (text) => {
  expect(parseGoBoolean(text)).toBeUndefined();
});
