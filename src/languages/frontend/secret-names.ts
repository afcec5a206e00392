/** Names of variables whose values should not be shown: the words that BuildKit's rule SecretsUsedInArgOrEnv looks for. */
const secret = new Set('apikey auth credential credentials key password pword passwd secret token'.split(' '));
const harmless = new Set('public file version'.split(' '));

export function isSecretName(name: string): boolean {
  const words = name.toLowerCase().split('_');
  return words.some((word) => secret.has(word)) && !words.some((word) => harmless.has(word));
}

/** Has an address in it a password, or a token in the place of a user? Of SSH a user is no secret. */
export function hasPassword(text: string): boolean {
  return /(?<!ssh):\/\/[^/\s]*@|:\/\/[^/\s]*:[^/\s]*@/u.test(text);
}
