/** The words of Go's strconv.ParseBool, as the docker CLI takes them; undefined for any other. */
export function parseBoolean(word: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(word)) return true;
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(word) ? false : undefined;
}
