/** What is typed in a block of a shell, parted from what it prints. */

export type Typed = {
  /** Without prompts. */
  readonly script: string;
  /** Lines of the block, from 0; `to` is the first behind it. */
  readonly from: number;
  readonly to: number;
  /** The lines from `to` on, up to the next prompt; without blank ones at the end. */
  readonly output: readonly string[];
};

/** Commands of a block. In a session each begins behind `$ `; in others all of it is one script. */
export function readScript(lines: readonly string[], isSession: boolean): readonly Typed[] {
  if (!isSession || !lines.some((line) => isPrompt(line))) {
    const script = lines.join('\n').trim();
    return script === '' ? [] : [{ script, from: 0, to: lines.length, output: [] }];
  }
  const found: Typed[] = [];
  let index = lines.findIndex((line) => isPrompt(line));
  while (index < lines.length) {
    const to = endOfCommand(lines, index);
    const next = lines.findIndex((line, at) => at >= to && isPrompt(line));
    const until = next < 0 ? lines.length : next;
    const script = lines
      .slice(index, to)
      .map((line, at) => (at === 0 ? line.slice(2) : line.replace(/^> ?/u, '')))
      .join('\n');
    found.push({ script, from: index, to, output: withoutBlankEnd(lines.slice(to, until)) });
    index = until;
  }
  return found;
}

function isPrompt(line: string): boolean {
  return /^\$ \S/u.test(line);
}

/** The line behind a command that begins here: it goes on behind a backslash, behind `> `, in quotes and in here-documents. */
function endOfCommand(lines: readonly string[], start: number): number {
  let text = (lines[start] ?? '').slice(2);
  let next = start + 1;
  while (next < lines.length && (isUnfinished(text) || (lines[next] ?? '').startsWith('> '))) {
    text += `\n${(lines[next] ?? '').replace(/^> ?/u, '')}`;
    next++;
  }
  return next;
}

/** Does a shell ask for another line? */
function isUnfinished(text: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*\\$/u.test(text) || /(?:\||&&|\|\|)\s*$/u.test(text) || openQuote(text) || openHeredoc(text);
}

function openQuote(text: string): boolean {
  if (/<<-?\s*["']?\w/u.test(text)) return false;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (quote === '' && character === '#' && /(?:^|\s)$/u.test(text.slice(0, index))) index = endOfLine(text, index);
    else if (character === '\\' && quote !== "'") index++;
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
  }
  return quote !== '';
}

function endOfLine(text: string, index: number): number {
  const end = text.indexOf('\n', index);
  return end < 0 ? text.length : end;
}

function openHeredoc(text: string): boolean {
  const names = [...text.matchAll(/<<(?<dash>-?)\s*(?<quote>["']?)(?<name>\w+)\k<quote>/gu)];
  const lines = text.split('\n');
  return names.some((match) => {
    const { name = '', dash = '' } = match.groups ?? {};
    const below = lines.slice(text.slice(0, match.index).split('\n').length);
    return !below.some((line) => (dash === '' ? line : line.replace(/^\t+/u, '')) === name);
  });
}

function withoutBlankEnd(lines: readonly string[]): readonly string[] {
  let length = lines.length;
  while (length > 0 && (lines[length - 1] ?? '').trim() === '') length--;
  return lines.slice(0, length);
}
