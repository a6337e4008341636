const pattern = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])|[eE]([+-]?\d{1,2}))?$/;

const binaryPowers: Readonly<Record<string, number>> = {
  Ki: 10,
  Mi: 20,
  Gi: 30,
  Ti: 40,
  Pi: 50,
  Ei: 60,
};
const decimalPowers: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/** The accepted form of quantities, for error messages. */
export const quantityForm = 'a Kubernetes quantity such as 500m, 2, 1.5, 512Mi or 4G';

/**
 * A non-negative Kubernetes quantity in billionths of its unit, rounded up as the API server does;
 * undefined when it is malformed.
 *
 * Follows the grammar of `resource.Quantity` (kubernetes/apimachinery).
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, number = '', suffix = '', exponent = '0'] = match;
  const [whole = '', fraction = ''] = number.split('.');
  const mantissa = BigInt(whole + fraction) << BigInt(binaryPowers[suffix] ?? 0);
  const power = 9 - fraction.length + (decimalPowers[suffix] ?? Number(exponent));
  if (power >= 0) return mantissa * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (mantissa + divisor - 1n) / divisor;
}

/** What was probably meant by a malformed quantity, such as `12Gi` for `12Gb`. */
export function suggestQuantity(text: string): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtpe])(i?)b?$/i.exec(text);
  if (match === null) return undefined;
  const [, number = '', unit = '', binary = ''] = match;
  const letter = unit.toUpperCase();
  if (binary !== '') return `${number}${letter}i`;
  return `${number}${letter}i (powers of 1024) or ${number}${letter === 'K' ? 'k' : letter}`;
}
