/** Text for terminals: what strangers wrote is made harmless, and lines are cut by the columns they take, not by their characters. */

/** CSI, OSC/DCS/APC/PM/SOS strings with their end, and two-character escapes: ECMA-48, sections 5.4, 5.6, 8.3. */
const escapes =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/gu;
const colour = /^\u001b\[[0-9;:]*m$/u;
const controls = /[\u0000-\u0008\u000a-\u001a\u001c-\u001f\u007f-\u009f]/gu;
const nothingToDo = /^[\u0009\u0020-\u007e\u00a0-\uffff]*$/u;

/**
 * One line of a step's output without control characters but tab and, if `colours`, SGR colour sequences. What a carriage return went
 * back over is dropped, as a terminal would have overwritten it. A line with colours ends by switching them off.
 */
export function harmless(line: string, colours: boolean): string {
  if (nothingToDo.test(line)) return line;
  const shown = afterReturn(line);
  let coloured = false;
  const text = shown
    .replaceAll(escapes, (sequence) => {
      if (!colours || !colour.test(sequence)) return '';
      coloured = true;
      return sequence;
    })
    .replaceAll(controls, '');
  return coloured ? `${text}\u001b[0m` : text;
}

/** What a template made of documents of strangers, for whoever reads the output: a program gets it as it is, a terminal with no sequence in it but colours. */
export function forReader(output: { readonly isTTY?: boolean }, text: string): string {
  if (output.isTTY !== true) return text;
  return text
    .split('\n')
    .map((line) => harmless(line, true))
    .join('\n');
}

function afterReturn(line: string): string {
  const trimmed = line.replace(/\r+$/u, '');
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1);
}

/** Columns that a text without escapes takes on a terminal: 2 for East Asian wide characters and most pictures, 0 for combining marks. */
export function textWidth(text: string): number {
  if (/^[\u0020-\u007e]*$/u.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** At most `columns` columns of a text; `…` stands for what is cut off. Tabs become one blank. */
export function cutToWidth(text: string, columns: number): string {
  const plain = text.replaceAll('\t', ' ');
  if (textWidth(plain) <= columns) return plain;
  let width = 0;
  let result = '';
  for (const character of plain) {
    width += characterWidth(character);
    if (width > columns - 1) break;
    result += character;
  }
  return columns < 1 ? '' : `${result}…`;
}

function characterWidth(character: string): number {
  if (/^[\p{Mn}\p{Me}\p{Cf}]$/u.test(character)) return 0;
  return isWide(character.codePointAt(0) ?? 0) || /^\p{Emoji_Presentation}$/u.test(character) ? 2 : 1;
}

/** Ranges with East_Asian_Width W or F (Unicode Standard Annex 11), joined where only unassigned characters lie between. */
function isWide(point: number): boolean {
  return (
    (point >= 0x11_00 && point <= 0x11_5f) ||
    (point >= 0x2e_80 && point <= 0x30_3e) ||
    (point >= 0x30_41 && point <= 0xa4_cf) ||
    (point >= 0xa9_60 && point <= 0xa9_7c) ||
    (point >= 0xac_00 && point <= 0xd7_a3) ||
    (point >= 0xf9_00 && point <= 0xfa_ff) ||
    (point >= 0xfe_30 && point <= 0xfe_6f) ||
    (point >= 0xff_00 && point <= 0xff_60) ||
    (point >= 0xff_e0 && point <= 0xff_e6) ||
    (point >= 0x2_00_00 && point <= 0x3_ff_fd)
  );
}
