/** `app:1:/bin/x`: no name of an image holds `:/`. */
export function splitImagePath(word: string): { readonly image: string; readonly path: string | undefined } {
  const at = word.indexOf(':/');
  return at < 0 ? { image: word, path: undefined } : { image: word.slice(0, at), path: word.slice(at + 1) };
}
