/** What Go's `strconv.ParseBool` reads; undefined where it fails. */
export function parseGoBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/** Whether Go's `strconv.ParseBool` reads the text as true. */
export function isGoTrue(text: string): boolean {
  return parseGoBoolean(text) === true;
}
