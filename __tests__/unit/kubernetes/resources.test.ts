import { describe, expect, it } from '@jest/globals';
import { containerResources, quantityValue } from '../../../src/kubernetes/resources.ts';

describe('containerResources', () => {
  it('asks for a quarter of a core and half a GiB by default, without limits', () => {
    expect(containerResources({}, {})).toEqual({
      requests: { cpu: '250m', memory: '512Mi' },
      limits: {},
    });
  });

  it('lets each request of the user replace only its own default', () => {
    expect(containerResources({ memory: '4Gi', 'ephemeral-storage': '20Gi' }, {})).toEqual({
      requests: { cpu: '250m', memory: '4Gi', 'ephemeral-storage': '20Gi' },
      limits: {},
    });
  });

  it('lowers a default to a smaller limit, which the API server would refuse otherwise', () => {
    expect(containerResources({}, { cpu: '0.1', memory: '256Mi' })).toEqual({
      requests: { cpu: '0.1', memory: '256Mi' },
      limits: { cpu: '0.1', memory: '256Mi' },
    });
  });

  it('does not raise a default to a larger limit', () => {
    expect(containerResources({}, { cpu: '8', memory: '1G' }).requests).toEqual({
      cpu: '250m',
      memory: '512Mi',
    });
  });
});

describe('quantityValue', () => {
  it.each([
    ['250m', 0.25],
    ['0.5', 0.5],
    ['1e3', 1000],
    ['1E3', 1000],
    ['2E', 2e18],
    ['512Mi', 536870912],
    ['1.5Gi', 1610612736],
    ['100k', 100000],
    ['+2', 2],
  ])('of %s is %d', (quantity, value) => {
    expect(quantityValue(quantity)).toBe(value);
  });

  it.each(['', '12Gb', 'one', '1.2.3'])('of %j is not a number', (quantity) => {
    expect(quantityValue(quantity)).toBeNaN();
  });
});
