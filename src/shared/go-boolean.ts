/** Whether Go's `strconv.ParseBool` reads the text as true. */
export function isGoTrue(text: string): boolean {
  return /^(?:1|t|T|true|TRUE|True)$/.test(text);
}
