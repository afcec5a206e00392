/** Findings of parser, converter and linter. */
import type { Span } from '#ground/base/span.ts';

export type Diagnostic = {
  /** Name of a lint rule as BuildKit spells it, or of a kind of syntax error (`UnknownInstruction`). */
  readonly rule: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly at: readonly Span[];
  readonly hint?: string;
  /** What the rule wants, in one sentence, and where more is said about it. */
  readonly description?: string;
  readonly url?: string;
};
