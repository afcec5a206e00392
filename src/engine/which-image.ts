/** Which of several images of a build something is about, before the words: `[app] `, `[linux/arm64] `, `[app linux/arm64] `; '' where there is only one. */
export function whichImage({ target, platform }: { readonly target: string | undefined; readonly platform: string | undefined }): string {
  const words = [target, platform].filter((word) => word !== undefined);
  return words.length === 0 ? '' : `[${words.join(' ')}] `;
}
