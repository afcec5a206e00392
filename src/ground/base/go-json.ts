/** JSON as Go's encoding/json writes it: `<`, `>`, `&` and the two line separators of Unicode are escaped. */
import type { Json } from './canonical-json.ts';

/** `indent`: spaces of a level, or what stands for them; 0: in one line. */
export function goJson(value: Json, indent: number | '\t' = 0): string {
  return JSON.stringify(value, undefined, indent).replaceAll(/[<>&\u2028\u2029]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
}
