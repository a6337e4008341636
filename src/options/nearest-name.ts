/** The known name that a mistyped one most likely stands for; undefined when none is close. */
export function nearestName(typed: string, known: Iterable<string>): string | undefined {
  const word = typed.toLowerCase();
  let nearest: string | undefined;
  let best = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(word, name.toLowerCase(), best);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

/** The same as a hint. */
export function didYouMean(typed: string, known: Iterable<string>): string | undefined {
  const nearest = nearestName(typed, known);
  return nearest === undefined ? undefined : `Did you mean \`${nearest}\`?`;
}

/** Levenshtein distance, or `limit` when it is not smaller. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(row[b.length] ?? limit, limit);
}
