/** A step that has no /proc, and fails for it, seldom says so in words that point there. */

/** What programs say when they miss it: its paths, those of /dev that lead there, and libraries that are looked for beside the program (`$ORIGIN`, by /proc/self/exe). */
const signs = /\/proc\/(?:self|thread-self|mounts|sys|net|\d+)|\/dev\/(?:fd|pts|ptmx)|error while loading shared libraries/u;
const longest = 64;

/** Takes what a step writes; tells afterwards whether /proc seems to be missed. */
export function watchForProc(): { take(bytes: Uint8Array): void; hint(): string | undefined } {
  const decoder = new TextDecoder('latin1');
  let isMissed = false;
  let end = '';
  return {
    take(bytes) {
      if (isMissed) return;
      const text = end + decoder.decode(bytes);
      isMissed = signs.test(text);
      end = text.slice(-longest);
    },
    hint: () =>
      isMissed
        ? 'Steps have no /proc with isolation "chroot", for nothing can be mounted here: what needs it (bash\'s <(...), Java) builds where another "--isolation" works'
        : undefined,
  };
}
