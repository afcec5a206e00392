/**
 * What a Dockerfile says, instruction by instruction, each word with its place. Nothing is expanded here: words are as written.
 * A span covers what was written: quotes of JSON strings, and continuations and comments where the word goes on in the next line.
 */
import type { TextSpan as Span } from '#ground/base/span.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';

export type Dockerfile = {
  readonly file: string;
  readonly escape: EscapeCharacter;
  readonly directives: readonly Directive[];
  /** All comment lines, in order: those above instructions, between them and inside them. */
  readonly comments: readonly Comment[];
  /** ARG instructions before the first FROM. */
  readonly globalArguments: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
};

/** `# syntax=`, `# escape=`, `# check=` at the top. */
export type Directive = {
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: string;
  readonly span: Span;
  readonly valueSpan: Span;
};

/** A line that begins with `#`; `text` without the `#` and white space, `span` from the `#` to the last character. */
export type Comment = { readonly text: string; readonly span: Span };

export type Stage = {
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
};

/** Text as written, quotes and variables included. */
export type Word = { readonly text: string; readonly span: Span };

/** `--name` or `--name=value`; `value` without its quotes, `valueSpan` with them (the end of the flag when there is no value). */
export type Flag = { readonly name: string; readonly value: string | undefined; readonly span: Span; readonly valueSpan: Span };

export type Heredoc = {
  /** The word that ends it, without quotes. */
  readonly name: string;
  /** Number before `<<`, 0 for none. */
  readonly descriptor: number;
  /** Variables are expanded in it: no part of the name was quoted. */
  readonly expand: boolean;
  /** `<<-`: tabs at the beginning of lines do not count. */
  readonly chomp: boolean;
  /** Lines as written, line breaks included. */
  readonly content: string;
  /** Where `content` stands. */
  readonly contentSpan: Span;
  /** From the line after the instruction to the one with the end word. */
  readonly span: Span;
};

/** What each instruction has. */
type Common = {
  /** The instruction's name as written: `RUN`, `run`. */
  readonly keyword: Word;
  /** From the keyword to the last character, here-documents included. */
  readonly span: Span;
  /** The instruction as one line: continuations joined, comments left out. */
  readonly source: string;
  /** Comment lines above it, back to the instruction or the empty comment (`#`) before them; empty lines between do not count. */
  readonly comments: readonly Comment[];
  readonly flags: readonly Flag[];
  readonly heredocs: readonly Heredoc[];
  /** The last line, when an empty line stands inside the instruction. */
  readonly emptyContinuation: Span | undefined;
};

/** What runs: a text for the shell, or a list of arguments (JSON form). */
export type Command =
  | { readonly form: 'shell'; readonly text: Word }
  | { readonly form: 'exec'; readonly arguments: readonly Word[]; readonly span: Span };

/** NAME=value, or the old form NAME value. */
export type Pair = { readonly name: Word; readonly value: Word; readonly legacy: boolean };

export type FromInstruction = Common & {
  readonly kind: 'from';
  readonly image: Word;
  readonly platform: Word | undefined;
  readonly alias: { readonly keyword: Word; readonly name: Word } | undefined;
};

export type ArgInstruction = Common & {
  readonly kind: 'arg';
  readonly arguments: readonly { readonly name: Word; readonly value: Word | undefined }[];
};

export type EnvInstruction = Common & { readonly kind: 'env'; readonly pairs: readonly Pair[] };
export type LabelInstruction = Common & { readonly kind: 'label'; readonly pairs: readonly Pair[] };

export type RunInstruction = Common & {
  readonly kind: 'run';
  readonly command: Command;
  readonly mounts: readonly RunMount[];
  readonly network: 'default' | 'none' | 'host' | undefined;
  readonly security: 'sandbox' | 'insecure';
};

/** One `--mount`; values are as written, variables in them are expanded later. */
export type RunMount = {
  readonly span: Span;
  readonly options: readonly MountOption[];
  /** Name of a stage, context or image; '' for none. */
  readonly from: string;
};

/** `span` is the whole mount's where quotes, escapes or a continuation make its words stand elsewhere than they are written. */
export type MountOption = { readonly key: string; readonly value: string | undefined; readonly span: Span };

export type CmdInstruction = Common & { readonly kind: 'cmd'; readonly command: Command };
export type EntrypointInstruction = Common & { readonly kind: 'entrypoint'; readonly command: Command };

/** A source of COPY or ADD: a path (or URL), or the text of a here-document. */
export type CopySource =
  | { readonly kind: 'path'; readonly path: Word }
  | { readonly kind: 'heredoc'; readonly heredoc: Heredoc; readonly word: Word };

type CopyCommon = Common & {
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
  readonly link: boolean;
  readonly exclude: readonly Word[];
};

export type CopyInstruction = CopyCommon & {
  readonly kind: 'copy';
  readonly from: Word | undefined;
  readonly parents: boolean;
  /** `--libs`, which no other builder knows. */
  readonly libs: Flag | undefined;
};

export type AddInstruction = CopyCommon & {
  readonly kind: 'add';
  readonly checksum: Word | undefined;
  readonly keepGitFolder: boolean | undefined;
  readonly unpack: boolean | undefined;
};

export type WorkdirInstruction = Common & { readonly kind: 'workdir'; readonly path: Word };
export type UserInstruction = Common & { readonly kind: 'user'; readonly user: Word };
export type StopSignalInstruction = Common & { readonly kind: 'stopsignal'; readonly signal: Word };
export type MaintainerInstruction = Common & { readonly kind: 'maintainer'; readonly name: Word };
export type ExposeInstruction = Common & { readonly kind: 'expose'; readonly ports: readonly Word[] };
export type VolumeInstruction = Common & { readonly kind: 'volume'; readonly paths: readonly Word[] };
export type ShellInstruction = Common & { readonly kind: 'shell'; readonly arguments: readonly Word[] };

export type HealthcheckInstruction = Common & {
  readonly kind: 'healthcheck';
  /** undefined: HEALTHCHECK NONE. */
  readonly command: Command | undefined;
  /** Nanoseconds; 0 for none given. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
};

export type OnbuildInstruction = Common & {
  readonly kind: 'onbuild';
  /** The trigger as it is kept in the image, here-documents included. */
  readonly expression: string;
  readonly trigger: StageInstruction;
};

/** What may stand in a stage. */
export type StageInstruction =
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | RunInstruction
  | CmdInstruction
  | EntrypointInstruction
  | CopyInstruction
  | AddInstruction
  | WorkdirInstruction
  | UserInstruction
  | StopSignalInstruction
  | MaintainerInstruction
  | ExposeInstruction
  | VolumeInstruction
  | ShellInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

export type Instruction = FromInstruction | StageInstruction;
