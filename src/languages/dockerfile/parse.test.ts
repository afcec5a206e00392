import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Span } from '#ground/base/span.ts';
import { anyDockerfile } from '#test/kit/dockerfiles.ts';
import { checkSpans } from '#test/kit/spans.ts';
import type { StageInstruction } from './ast.ts';
import { lintDockerfile } from './lint.ts';
import { parseDockerfile, parseTrigger } from './parse.ts';
import { randomRuns } from '#test/kit/random.ts';

function parse(text: string) {
  return parseDockerfile(text, 'Dockerfile');
}

/** The instructions of the only stage of `FROM base` and `text`; no fault may be found. */
function instructions(text: string): readonly StageInstruction[] {
  const { dockerfile, diagnostics } = parse(`FROM base\n${text}`);
  assert.deepEqual(diagnostics, []);
  return dockerfile.stages[0]?.instructions ?? [];
}

function faults(text: string): readonly string[] {
  return parse(text).diagnostics.map((each) => `${each.at[0]?.start.line}:${each.at[0]?.start.column} ${each.rule}: ${each.message}`);
}

function place({ start, end }: Span): string {
  return `${start.line}:${start.column}-${end.line}:${end.column}`;
}

test('every word knows its place, through continuations, comments and CRLF', () => {
  const [run, env] = instructions('  RUN a \\\r\n# comment\r\n\r\n   b\r\nENV X="1 2" \\  \n  Y=z\n');
  assert.ok(run?.kind === 'run' && run.command.form === 'shell' && env?.kind === 'env');
  assert.equal(run.command.text.text, 'a    b');
  assert.equal(place(run.command.text.span), '2:7-5:5');
  assert.equal(place(run.span), '2:3-5:5');
  assert.equal(run.emptyContinuation && place(run.emptyContinuation), '5:1-5:5');
  assert.deepEqual(
    env.pairs.map(({ name, value }) => [name.text, place(name.span), value.text, place(value.span)]),
    [
      ['X', '6:5-6:6', '"1 2"', '6:7-6:12'],
      ['Y', '7:3-7:4', 'z', '7:5-7:6'],
    ],
  );
});

test('a BOM is no part of the text', () => {
  const { dockerfile, diagnostics } = parse('\ufeff# escape=`\nFROM a');
  assert.deepEqual(diagnostics, []);
  assert.equal(dockerfile.escape, '`');
});

function directives(text: string): readonly string[] {
  return parse(text).dockerfile.directives.map(({ name, value }) => `${name}=${value}`);
}

test('directives end at the first other line', () => {
  assert.deepEqual(directives('# Syntax = docker/dockerfile:1 \n#check=skip=all\n# escape=`\nFROM a'), [
    'syntax=docker/dockerfile:1',
    'check=skip=all',
    'escape=`',
  ]);
  assert.deepEqual(directives('# words\n# escape=`\nFROM a'), []);
  assert.deepEqual(directives('\n# escape=`\nFROM a'), []);
  assert.deepEqual(directives('# unknown=x\n# escape=`\nFROM a'), []);
  assert.deepEqual(faults('# escape=x\nFROM a'), ['1:1 BadDirective: Invalid escape token "x" does not match ` or \\']);
  assert.deepEqual(faults('# escape=`\n# escape=`\nFROM a'), ['2:1 BadDirective: Only one escape parser directive can be used']);
});

test('two escape characters do not continue a line; blanks behind one do not matter', () => {
  const [a, b] = instructions('RUN a\\\\\nRUN b \\ \t\n  c');
  assert.ok(a?.kind === 'run' && a.command.form === 'shell' && b?.kind === 'run' && b.command.form === 'shell');
  assert.equal(a.command.text.text, 'a\\\\');
  assert.equal(b.command.text.text, 'b   c');
});

test('JSON form, and the plain form that looks like it', () => {
  const commands = instructions('CMD [ "a", "b\\u00e9" ]\nCMD [a]\nCMD ["a" "b"]\nCMD ["a"] x\nCMD []\nCMD').map((each) =>
    each.kind === 'cmd' ? each.command : undefined,
  );
  assert.deepEqual(
    commands.map((command) =>
      command?.form === 'exec' ? command.arguments.map(({ text, span }) => `${text} ${place(span)}`) : command?.text.text,
    ),
    [['a 2:7-2:10', 'b\u00e9 2:12-2:21'], '[a]', '["a" "b"]', '["a"] x', [], ''],
  );
  assert.deepEqual(faults('FROM a\nCMD ["a", 1]'), [
    '2:5 WrongArguments: When using JSON array syntax, arrays must be comprised of strings only',
  ]);
});

test('here-documents: several a line, tabs, quotes, none in JSON form or quotes', () => {
  const [run, copy, json, quoted] = instructions(
    'RUN 3<<A cat <<-"B"\n# not a comment \\\nA\n\tx\n\tB\nCOPY <<"E F" <<G /to\nE F\n$x\nG\nRUN ["<<A"]\nRUN "<<A" \'<<B\' <<<C\n',
  );
  assert.deepEqual(
    run?.heredocs.map(({ name, descriptor, chomp, expand, content }) => [name, descriptor, chomp, expand, content]),
    [
      ['A', 3, false, true, '# not a comment \\\n'],
      ['B', 0, true, false, '\tx\n'],
    ],
  );
  assert.ok(copy?.kind === 'copy');
  assert.deepEqual(
    copy.heredocs.map(({ name, expand, content }) => [name, expand, content]),
    [
      ['E F', false, ''],
      ['G', true, '$x\n'],
    ],
  );
  assert.deepEqual(json?.heredocs, []);
  assert.deepEqual(quoted?.heredocs, []);
});

test('behind a here-document without end nothing is read', () => {
  assert.deepEqual(faults('FROM a\nRUN <<X\nNONSENSE'), ['2:1 UnterminatedHeredoc: Unterminated heredoc: no line is "X"']);
});

test('flags: quotes resolved, `--` ends them, faults say which', () => {
  const [copy, run] = instructions(
    'COPY --chown="a b" --link=false --exclude=x --exclude=y -- --z /t\nRUN --mount=type=cache,\\"target=/a,b\\" x',
  );
  assert.ok(copy?.kind === 'copy' && run?.kind === 'run');
  assert.deepEqual(
    [copy.chown?.text, copy.link, copy.exclude.map(({ text }) => text), copy.sources.map((each) => each.kind === 'path' && each.path.text)],
    ['a b', false, ['x', 'y'], ['--z']],
  );
  assert.deepEqual(
    run.mounts[0]?.options.map(({ key, value, span }) => `${place(span)} ${key} ${value}`),
    ['3:5-3:39 type cache', '3:5-3:39 target /a,b'],
  );
  assert.deepEqual(faults('FROM a\nCOPY --chown a b\nCOPY --link=2 a b\nCOPY --from=a --from=b a b\nARG --x a'), [
    '2:6 BadFlag: Missing a value on flag: "--chown"',
    '3:6 BadFlag: Expecting boolean value for flag "--link", not: "2"',
    '4:15 BadFlag: Duplicate flag specified: "--from"',
    '5:5 UnknownFlag: Unknown flag: "--x"',
  ]);
});

test('an option of a mount has its own place; one that is quoted has that of its mount', () => {
  const [run] = instructions(
    'RUN --mount=type=bind,ro,x \\\n --mount=type=cache,target=/é,id=q --mount=id="a b" \\\n --mount=ro,\\\nid=z y',
  );
  assert.ok(run?.kind === 'run');
  assert.deepEqual(
    run.mounts.map(({ options }) => options.map(({ key, span }) => `${key} ${place(span)}`)),
    [
      ['type 2:13-2:22', 'ro 2:23-2:25', 'x 2:26-2:27'],
      ['type 3:10-3:20', 'target 3:21-3:30', 'id 3:31-3:35'],
      ['id 3:36-3:52'],
      ['ro 4:2-5:5', 'id 4:2-5:5'],
    ],
  );
});

test('wrong arguments are told with what the instruction wants', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['FROM', '2:1 WrongArguments: FROM requires either one or three arguments'],
    ['FROM a b', '2:1 WrongArguments: FROM requires either one or three arguments'],
    ['FROM a AS 1x', `2:11 WrongArguments: Invalid name for build stage: "1x", name can't start with a number or contain symbols`],
    ['ENV', '2:1 WrongArguments: ENV requires at least one argument'],
    ['ENV A', '2:1 WrongArguments: ENV must have two arguments'],
    ['ENV =x', '2:5 WrongArguments: ENV names can not be blank'],
    ['ENV A=1 B', `2:9 WrongArguments: Syntax error - can't find = in "B". Must be of the form: name=value`],
    ['ARG', '2:1 WrongArguments: ARG requires at least one argument'],
    ['WORKDIR', '2:1 WrongArguments: WORKDIR requires exactly one argument'],
    ['COPY a', '2:1 WrongArguments: COPY requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['COPY a <<X\nX', '2:8 WrongArguments: COPY cannot accept a heredoc as a destination'],
    ['EXPOSE', '2:1 WrongArguments: EXPOSE requires at least one argument'],
    ['SHELL bash', '2:1 WrongArguments: SHELL requires the arguments to be in JSON form'],
    ['HEALTHCHECK', '2:1 WrongArguments: HEALTHCHECK requires at least one argument'],
    ['HEALTHCHECK NONE x', '2:1 WrongArguments: HEALTHCHECK NONE takes no arguments'],
    ['HEALTHCHECK GET x', '2:13 WrongArguments: Unknown type "GET" in HEALTHCHECK (try CMD)'],
    ['HEALTHCHECK CMD', '2:1 WrongArguments: Missing command after HEALTHCHECK CMD'],
    ['HEALTHCHECK --retries=-1 CMD x', '2:23 WrongArguments: --retries cannot be negative (-1)'],
    ['ONBUILD FROM x', `2:9 WrongArguments: FROM isn't allowed as an ONBUILD trigger`],
    [
      'ONBUILD COPY x',
      '2:9 WrongArguments: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    ],
    ['RUN --network=moon x', '2:15 WrongArguments: Invalid network mode "moon"'],
    ['RUN --mount=a\\"b x', '2:5 BadMount: Failed to parse csv mounts: "a"b"'],
    ['RUN --mount=from=$X,target=/x y', `2:13 BadMount: "from" doesn't support variable expansion, define alias stage instead`],
    ['RUN', '2:1 WrongArguments: RUN requires at least one argument'],
    ['VOLUME [""]', '2:9 WrongArguments: VOLUME specified can not be an empty string'],
  ];
  for (const [text, wanted] of cases) {
    assert.deepEqual(faults(`FROM base\n${text}`), [wanted], text);
  }
});

test('files without stages', () => {
  assert.deepEqual(faults(''), ['1:1 Empty: The Dockerfile cannot be empty']);
  assert.deepEqual(faults('# nothing\n'), ['1:1 Empty: The Dockerfile is a file with no instructions']);
  assert.deepEqual(faults('ARG A\n'), ['1:1 NoStage: The Dockerfile contains no stages to build']);
  assert.deepEqual(faults('RUN x\nFROM a'), ['1:1 NoStage: No build stage in current context']);
});

test('comments above an instruction belong to it, back to an empty one', () => {
  const [a, b] = instructions('# far\n#\n# near\n\n# nearer\n\nRUN a\nRUN b');
  assert.deepEqual(
    a?.comments.map(({ text, span }) => `${place(span)} ${text}`),
    ['4:1-4:7 near', '6:1-6:9 nearer'],
  );
  assert.deepEqual(b?.comments, []);
});

test('a trigger is one instruction', () => {
  assert.equal(parseTrigger('RUN x', 'Dockerfile').instruction?.kind, 'run');
  assert.equal(parseTrigger('COPY <<A /x\nbody\nA', 'Dockerfile').instruction?.heredocs[0]?.content, 'body\n');
  assert.equal(parseTrigger('RUN x\nRUN y', 'Dockerfile').instruction, undefined);
  assert.equal(parseTrigger('FROM x', 'Dockerfile').instruction, undefined);
});

const scraps = fc.constantFrom(
  'FROM a',
  'RUN',
  'COPY',
  'ENV',
  'ARG',
  'LABEL',
  'ONBUILD',
  'HEALTHCHECK',
  'EXPOSE',
  'SHELL',
  ' --mount=',
  '--from=',
  '=',
  '"',
  "'",
  '\\',
  '`',
  '\n',
  '\r\n',
  '#',
  ' ',
  '\t',
  '<<',
  'EOF',
  '<<-EOF',
  '[',
  ']',
  '"a"',
  ',',
  '$',
  '${',
  '}',
  ':-',
  'x',
  '# escape=`',
  '# check=',
  '\u00a0',
  '\0',
  '\ud800',
);

function check(text: string): void {
  const lines = text.split('\n').length;
  checkSpans(text, parse(text).dockerfile);
  for (const { at } of [...parse(text).diagnostics, ...lintDockerfile(text, 'Dockerfile')]) {
    for (const { start, end } of at) assert.ok(start.line >= 1 && start.column >= 1 && end.line <= Math.max(1, lines), text);
  }
}

test('no text makes the parser or the linter throw, and every span lies in the text', () => {
  fc.assert(
    fc.property(fc.array(scraps, { maxLength: 40 }), (parts) => check(parts.join(''))),
    randomRuns(400),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), check), randomRuns(100));
});

test('every span of any Dockerfile is where its word stands', () => {
  fc.assert(
    fc.property(anyDockerfile, (text) => checkSpans(text, parse(text).dockerfile)),
    randomRuns(200),
  );
});

test('a backslash that no line break follows belongs to its word, behind an empty continuation line too', () => {
  for (const blank of ['\v', '\f']) {
    const text = `FROM b\nWORKDIR a\\\n\nb\\${blank}`;
    const { dockerfile, diagnostics } = parse(text);
    assert.deepEqual(diagnostics, []);
    checkSpans(text, dockerfile);
    const [workdir] = dockerfile.stages[0]?.instructions ?? [];
    assert.ok(workdir?.kind === 'workdir');
    assert.equal(workdir.path.text, 'ab\\');
    assert.equal(place(workdir.path.span), '2:9-4:3');
    assert.ok(workdir.emptyContinuation);
  }
});

test('a flag keeps the other kind of quote, wherever its quotes begin', () => {
  for (const flag of [`--chown="a'b"`, `--"chown=a'b"`, `--chown=a\\'b`, `--chown='a'"'b"`]) {
    const text = `FROM b\nCOPY ${flag} c d`;
    const { dockerfile, diagnostics } = parse(text);
    assert.deepEqual(diagnostics, []);
    checkSpans(text, dockerfile);
    const [copy] = dockerfile.stages[0]?.instructions ?? [];
    assert.equal(copy?.flags[0]?.value, "a'b");
  }
});

test('hostile texts end soon', () => {
  const size = 1 << 17;
  const texts = {
    words: `FROM a\nENV ${'a=b '.repeat(size / 4)}`,
    'quote without end': `FROM a\nENV a="${'x'.repeat(size)}`,
    continuations: `FROM a\nRUN ${'x \\\n'.repeat(size / 4)}`,
    'words over lines': `FROM a\nARG ${'x \\\n'.repeat(size / 4)}`,
    'empty lines': `FROM a\nRUN x \\\n${'\n'.repeat(size)}`,
    'here-documents': `FROM a\n${'RUN <<E\nE\n'.repeat(20_000)}`,
    'here-documents on one line': `FROM a\nRUN ${'<<E '.repeat(20_000)}\n${'E\n'.repeat(20_000)}`,
    'here-documents without end': `FROM a\n${'RUN <<E\n'.repeat(20_000)}`,
    'nested variables': `FROM a\nENV a=${'${'.repeat(size / 2)}`,
    'nested defaults': `FROM a\nENV a=${'${a:-'.repeat(size / 5)}${'}'.repeat(size / 5)}`,
    'nested lists': `FROM a\nCMD ${'['.repeat(size / 2)}${']'.repeat(size / 2)}`,
    flags: `FROM a\nCOPY ${'--exclude=x '.repeat(size / 12)} a b`,
    mounts: `FROM a\nRUN ${'--mount=target=/x '.repeat(size / 18)} a`,
    'unknown words': 'x\n'.repeat(size / 2),
    'one long word': 'x'.repeat(size),
    stages: 'FROM a AS b\n'.repeat(size / 12),
    'chain of stages': `FROM a AS s0\n${Array.from({ length: 5000 }, (_, index) => `FROM s${index} AS s${index + 1}\n`).join('')}`,
    onbuild: `FROM a\n${'ONBUILD '.repeat(size / 8)}`,
    comments: `${'# x\n'.repeat(size / 4)}FROM a`,
    nothing: ' '.repeat(size),
    zeros: '\0'.repeat(size),
  };
  for (const [name, text] of Object.entries(texts)) {
    // Time of the processor, so that a busy machine does not count.
    const start = process.cpuUsage();
    parse(text);
    const time = process.cpuUsage(start).user / 1000;
    assert.ok(time < 1500, `${name}: ${Math.round(time)} ms`);
  }
  assert.deepEqual(faults('x'.repeat((2 << 20) + 1)), ['1:1 TooLong: The Dockerfile is longer than 2 MiB']);
  assert.deepEqual(faults('FROM a\n'.repeat(10_000)), []);
  assert.deepEqual(faults('FROM a\n'.repeat(100_000)), ['10001:1 TooManyStages: The Dockerfile has more than 10000 stages']);
});
