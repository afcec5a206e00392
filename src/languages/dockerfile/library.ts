/**
 * What the npm package exports: the Dockerfile language for editors, linters and tools. Pure: no Node module is loaded, nothing is read
 * or fetched, no function throws for any text. `docs/library.md` shows its use.
 */
import { JettisonError } from '#ground/base/errors.ts';
import type { Position, Span, TextPosition, TextSpan } from '#ground/base/span.ts';
import { parsePlatform } from '#formats/oci/platform.ts';
import type { Diagnostic as AnyDiagnostic } from '#languages/frontend/diagnostics.ts';
import type { Dockerfile } from './ast.ts';
import { lintDockerfile as lint, type LintOptions as RoomOptions } from './lint.ts';
import { parseDockerfile as parse } from './parse.ts';

export type * from './ast.ts';
export { printDockerfile } from './print.ts';
export type { TextPosition, TextSpan };

export type Diagnostic = {
  /** `error`: a build fails here. `warning`: a build check has something to say. */
  readonly severity: 'error' | 'warning';
  /** Name of the build check as Docker spells it (`StageNameCasing`), or of the kind of fault (`UnknownInstruction`). */
  readonly rule: string;
  readonly message: string;
  /** What to do about it; with what was probably meant, where something is close: `Did you mean "RUN"?`. */
  readonly hint?: string;
  /** What the check wants, in one sentence. */
  readonly description?: string;
  /** The page about the check. */
  readonly url?: string;
  /** Where; the first place is the one to show. Empty when it is about the options. */
  readonly spans: readonly TextSpan[];
};

export type ParseOptions = {
  /** Name that spans carry; `Dockerfile` if left out. */
  readonly file?: string;
};

export type ParseResult = {
  /** What could be understood; instructions with faults are left out. */
  readonly dockerfile: Dockerfile;
  /** All of severity `error`. */
  readonly diagnostics: readonly Diagnostic[];
};

export type LintOptions = ParseOptions & {
  /** What would be built, `linux/arm64`; `linux/amd64` if left out. */
  readonly platform?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Name or number of a stage: then faults of stages that it does not need are not looked for. */
  readonly target?: string;
  /** Lines of the `.dockerignore` file: COPY of what it leaves out is told. */
  readonly ignorePatterns?: readonly string[];
};

/** Takes a Dockerfile's text, with or without a byte order mark, any line ends, at most 2 MiB. Linear in its length. */
export function parseDockerfile(text: string, { file = 'Dockerfile' }: ParseOptions = {}): ParseResult {
  const { dockerfile, diagnostics } = parse(text, file);
  return { dockerfile, diagnostics: diagnostics.map(withOffsets(text)) };
}

/** Faults and findings in the order of the file. Base images are not looked at, so nothing is said of variables that they might set. */
export function lintDockerfile(text: string, options: LintOptions = {}): readonly Diagnostic[] {
  const { file = 'Dockerfile', platform, buildArgs, target, ignorePatterns } = options;
  const native = readPlatform(platform ?? 'linux/amd64');
  if ('severity' in native) return [native];
  const given: RoomOptions = {
    platform: native,
    buildArgs: new Map(Object.entries(buildArgs ?? {})),
    ...(target === undefined ? {} : { target }),
    ...(ignorePatterns === undefined ? {} : { ignorePatterns }),
  };
  return lint(text, file, given).map(withOffsets(text));
}

function readPlatform(text: string) {
  try {
    return parsePlatform(text, { os: 'linux', architecture: 'amd64' });
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    const { message, hint } = error;
    return { severity: 'error', rule: 'BadOption', message, ...(hint === undefined ? {} : { hint }), spans: [] } satisfies Diagnostic;
  }
}

/** Adds the offset to places that only have line and column. */
function withOffsets(text: string): (diagnostic: AnyDiagnostic) => Diagnostic {
  let starts: readonly number[] | undefined;
  const place = ({ line, column }: Position): TextPosition => {
    starts ??= lineStarts(text);
    return { line, column, offset: Math.min(text.length, (starts[line - 1] ?? text.length) + column - 1) };
  };
  const spanOf = ({ file, start, end }: Span): TextSpan => ({ file, start: place(start), end: place(end) });
  return ({ at, severity, rule, message, hint, description, url }) => ({
    severity,
    rule,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(description === undefined ? {} : { description }),
    ...(url === undefined ? {} : { url }),
    spans: at.map(spanOf),
  });
}

function lineStarts(text: string): readonly number[] {
  const starts = [text.startsWith('\ufeff') ? 1 : 0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
