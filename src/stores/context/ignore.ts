/** The ignore file of a build: which paths of the context are left out. https://docs.docker.com/build/concepts/context/#dockerignore-files */
import { basename, dirname, relative } from 'node:path';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { cleanPattern, parsePatterns } from '#ground/base/patterns.ts';
import { readContextFile } from './read-file.ts';

export type IgnoreFile = {
  /** As people know it: `.dockerignore`, `app.Dockerfile.dockerignore`. */
  readonly name: string;
  /** Cleaned patterns in order, for `openLocalContext`. */
  readonly patterns: readonly string[];
  /** Where each of them stands, from 1. */
  readonly lines: readonly number[];
};

const mostBytes = 1024 * 1024;
const mostPatterns = 10_000;
/** Paths have 4095 bytes at most. */
const longestPattern = 4096;

/**
 * Reads `<Dockerfile>.dockerignore` beside the Dockerfile, else `.dockerignore` at the root of the context; undefined when there is neither.
 * `folder` (the context) and `dockerfile` are absolute paths; a context without a Dockerfile has only the one at its root. Throws `context/bad-ignore-file` with the line (its text may be a secret when the file
 * is a wrong one, so it is not shown), and what `readContextFile` throws.
 */
export function readIgnoreFile(place: { readonly folder: string; readonly dockerfile?: string }): IgnoreFile | undefined {
  const { folder, dockerfile } = place;
  const beside = dockerfile === undefined ? undefined : readOne(besideDockerfile({ folder, dockerfile }));
  return beside ?? readOne({ folder: place.folder, path: '.dockerignore' });
}

/** One pattern a line, as BuildKit reads it: `#` in the first column starts a comment. Throws `context/bad-ignore-file`. */
export function parseIgnoreFile(text: string, name: string): IgnoreFile {
  const patterns: string[] = [];
  const lines: number[] = [];
  for (const [index, line] of text
    .replace(/^\u{feff}/u, '')
    .split('\n')
    .entries()) {
    if (line.startsWith('#')) continue;
    const pattern = cleanPattern(line);
    if (pattern === '') continue;
    if (pattern.length > longestPattern) {
      throw new JettisonError('context/bad-ignore-file', `Line ${index + 1} of "${name}" has more than ${longestPattern} characters`, {
        hint: 'No path is that long: write one pattern a line',
      });
    }
    checkPattern(pattern, `line ${index + 1} of "${name}"`);
    patterns.push(pattern);
    lines.push(index + 1);
  }
  if (patterns.length <= mostPatterns) return { name, patterns, lines };
  throw new JettisonError('context/bad-ignore-file', `"${name}" has more than ${mostPatterns} patterns`, {
    hint: 'Leave out whole folders, or everything ("*") and take back with "!" what is needed',
  });
}

type FilePlace = { readonly folder: string; readonly path: string };

/** Links of a Dockerfile's own ignore file may lead anywhere in the context when it lies there, else only beside it. */
function besideDockerfile({ folder, dockerfile }: { readonly folder: string; readonly dockerfile: string }): FilePlace {
  const inside = relative(folder, dockerfile);
  if (inside !== '' && !inside.startsWith('../') && !inside.startsWith('/')) return { folder, path: `${inside}.dockerignore` };
  return { folder: dirname(dockerfile), path: `${basename(dockerfile)}.dockerignore` };
}

function readOne({ folder, path }: FilePlace): IgnoreFile | undefined {
  const bytes = readContextFile(folder, path, mostBytes);
  return bytes && parseIgnoreFile(new TextDecoder().decode(bytes), path);
}

function checkPattern(pattern: string, where: string): void {
  try {
    parsePatterns([pattern]);
  } catch (error) {
    if (!isCode(error, 'base/bad-pattern')) throw error;
    throw new JettisonError(
      'context/bad-ignore-file',
      `Cannot read the pattern in ${where}`,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
}
