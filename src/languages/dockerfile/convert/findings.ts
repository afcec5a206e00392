/** Runs the lint rules over what the conversion found. */
import { JettisonError } from '#ground/base/errors.ts';
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { Dockerfile } from '../ast.ts';
import { readMarks } from '../marks.ts';
import { rules } from '../rules/all.ts';
import { pageOf } from '../rules/rule.ts';
import { parseCheckOptions, standardOptions, withComments, type CheckOptions } from '../rules/options.ts';
import type { LintSubject } from './facts.ts';

const checkArgument = 'BUILDKIT_DOCKERFILE_CHECK';

/** Options of `--build-arg BUILDKIT_DOCKERFILE_CHECK`, else of the `check` directive. Throws `dockerfile/bad-check-options`. */
export function checkOptionsOf(dockerfile: Dockerfile, options: FrontendOptions): CheckOptions {
  const directive = dockerfile.directives.find(({ name }) => name === 'check');
  const argument = options.buildArgs.get(checkArgument);
  const given = argument ?? directive?.value;
  if (given === undefined) return standardOptions;
  const parsed = parseCheckOptions(given);
  if (typeof parsed !== 'string') return parsed;
  throw new JettisonError('dockerfile/bad-check-options', `Failed to parse check options: ${parsed}`, {
    at: directive && argument === undefined ? [directive.span] : [],
    hint: 'The form is "skip=RuleA,RuleB;error=true"',
  });
}

/** All findings that are not switched off, in the order of the file. */
export function findingsOf(subject: LintSubject, options: CheckOptions): readonly Diagnostic[] {
  const isWanted = ({ rule }: Diagnostic): boolean => options.skip !== 'all' && !options.skip.has(rule);
  const found: Diagnostic[] = readMarks(subject.dockerfile).findings.filter(isWanted);
  for (const rule of rules) {
    for (const { message, at, comments, hint } of rule.check(subject)) {
      const own = withComments(options, comments);
      if (own.skip === 'all' || own.skip.has(rule.name)) continue;
      if (rule.experimental === true && own.experimental !== 'all' && !own.experimental.has(rule.name)) continue;
      const url = pageOf(rule);
      found.push({
        rule: rule.name,
        severity: 'warning',
        message,
        at,
        ...(hint === undefined ? {} : { hint }),
        description: rule.summary,
        ...(url === undefined ? {} : { url }),
      });
    }
  }
  return found.toSorted((a, b) => lineOf(a) - lineOf(b));
}

const ownRules: ReadonlySet<string> = new Set(rules.filter(({ isOwn }) => isOwn === true).map(({ name }) => name));

/** Throws when findings are to make the build fail (`check=error=true`). */
export function failOnFindings(found: readonly Diagnostic[], options: CheckOptions): void {
  const findings = found.filter(({ rule }) => !ownRules.has(rule));
  const [first] = findings;
  if (!options.error || !first) return;
  const names = [...new Set(findings.map(({ rule }) => rule))];
  throw new JettisonError('dockerfile/lint-violation', `Lint violation found for rules: ${names.join(', ')}`, {
    at: first.at,
    hint: 'Mend what the notes say, or leave error=true out of "# check=" and BUILDKIT_DOCKERFILE_CHECK',
    notes: findings.slice(0, 20).map((each) => `${each.rule}: ${each.message} (line ${lineOf(each)})`),
  });
}

function lineOf({ at }: Diagnostic): number {
  return at[0]?.start.line ?? 0;
}
