/** What a reader of a tutorial does: writes files, types commands, and looks whether the same comes out. */

/** Lines of a Markdown file; `from` and `to` count from 1, both are part of it. */
export type Lines = { readonly from: number; readonly to: number };

/** What a tutorial shows as the output of a command. */
export type Shown = {
  readonly lines: readonly string[];
  /** Where it stands; `to` is `from - 1` where it is empty. */
  readonly at: Lines;
  /** Blanks before each line in the Markdown text. */
  readonly indentation: string;
};

export type TutorialStep =
  | { readonly kind: 'file'; readonly path: string; readonly text: string; readonly at: Lines }
  | {
      readonly kind: 'command';
      /** As a shell takes it; may have several lines. */
      readonly script: string;
      readonly shown: Shown | undefined;
      readonly expects: Expectation;
      readonly at: Lines;
    };

export type Expectation = {
  /** Exit code; undefined: any. */
  readonly exit: number | undefined;
  /** The shown lines come in this order, perhaps with others between them. */
  readonly isExcerpt: boolean;
  /** It is given a terminal. */
  readonly wantsTerminal: boolean;
};

export type Tutorial = {
  readonly steps: readonly TutorialStep[];
  /** Blocks that are neither: shown, never done. Lines of their fences. */
  readonly ignored: readonly number[];
};
