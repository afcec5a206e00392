import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { expandWord, type WordRules } from './words.ts';
import { randomRuns } from '#test/kit/random.ts';

const variables = new Map([
  ['SET', 's'],
  ['EMPTY', ''],
  ['PATHLIKE', 'one.two.tar.gz'],
  ['SPACED', ' a  b '],
  ['ünï', 'letters'],
]);

function expand(text: string, rules: Partial<WordRules> = {}): string {
  const result = expandWord(text, variables, { escape: '\\', ...rules });
  return result.fault === undefined ? result.text : `! ${result.fault}`;
}

test('variables, plain and with modifiers', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['$SET', 's'],
    ['a${SET}b', 'asb'],
    ['$SETx', ''],
    ['$ünï', 'letters'],
    ['$', '$'],
    ['a$ b', 'a$ b'],
    ['$1x', 'x'],
    ['${EMPTY:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${GONE:-d}', 'd'],
    ['${SET:+alt}', 'alt'],
    ['${EMPTY:+alt}', ''],
    ['${EMPTY+alt}', 'alt'],
    ['${GONE:-${SET:-x}}', 's'],
    ['${GONE:-"with space"}', 'with space'],
    ['${PATHLIKE#*.}', 'two.tar.gz'],
    ['${PATHLIKE##*.}', 'gz'],
    ['${PATHLIKE%.*}', 'one.two.tar'],
    ['${PATHLIKE%%.*}', 'one'],
    ['${PATHLIKE/./-}', 'one-two.tar.gz'],
    ['${PATHLIKE//./-}', 'one-two-tar-gz'],
    ['${PATHLIKE//[.]/-}', 'one.two.tar.gz'],
    ['${SET:?no}', 's'],
  ];
  for (const [text, wanted] of cases) assert.equal(expand(text), wanted, text);
});

test('quotes and escapes', () => {
  assert.equal(expand(`"a b" 'c $SET' "$SET"`), `a b c $SET s`);
  assert.equal(expand('\\$SET \\"x\\"'), '$SET "x"');
  assert.equal(expand('"\\$SET \\a \\\\"'), '$SET \\a \\');
  assert.equal(expand("'a\\'"), 'a\\');
  assert.equal(expand('`$SET \\x', { escape: '`' }), '$SET \\x');
  assert.equal(expand('"a" \\b', { keepQuotes: true, keepEscapes: true }), '"a" \\b');
  const kept = String.raw`"a\very \"q\" \$SET \\" 'b\very' c\very`;
  assert.equal(expand(kept, { keepQuotes: true, keepEscapes: true }), kept);
  assert.equal(expand(`it's "$SET"`, { plainQuotes: true }), `it's "s"`);
  assert.equal(expand('$GONE ${GONE:-x} $SET', { keepUnset: true }), '$GONE ${GONE:-x} s');
  assert.equal(expand('a\\'), 'a');
});

test('faults are told, not thrown', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['${SET', "syntax error: missing '}'"],
    ['${', "syntax error: missing '}'"],
    ['${}', 'syntax error: bad substitution'],
    ['${:-x}', 'syntax error: bad substitution'],
    ['${SET!x}', 'unsupported modifier (!) in substitution'],
    ['${SET:x}', 'unsupported modifier (:x) in substitution'],
    ['${GONE:?}', 'GONE: is not allowed to be unset'],
    ['${EMPTY:?}', 'EMPTY: is not allowed to be empty'],
    ['${GONE?must be given}', 'GONE: must be given'],
    ['"a', 'unexpected end of statement while looking for matching double-quote'],
    ["'a", 'unexpected end of statement while looking for matching single-quote'],
    ['${SET/a}', "syntax error: missing '/' in ${}"],
  ];
  for (const [text, wanted] of cases) assert.equal(expand(text), `! ${wanted}`, text);
});

function words(text: string): readonly string[] {
  return expandWord(text, variables, { escape: '\\' }).words;
}

test('words are cut where white space is not quoted', () => {
  assert.deepEqual(words(`a "b c" d\\ e f'g h'`), ['a', 'b c', 'd e', 'fg h']);
  assert.deepEqual(words('x$SPACED"$SPACED"'), ['x', 'a', 'b', ' a  b ']);
  assert.deepEqual(words('""'), []);
  assert.deepEqual(words('cat << EOF'), ['cat', '<< EOF']);
});

test('says which variables were used', () => {
  const { matched, unmatched } = expandWord('$SET ${GONE:-$AWAY} ${GONE}', variables, { escape: '\\' });
  assert.deepEqual([...matched], ['SET']);
  assert.deepEqual([...unmatched], ['AWAY', 'GONE']);
});

test('never throws, and one level of nesting too many is a fault', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('$', '{', '}', ':', '-', '/', '#', '%', '"', "'", '\\', '<', 'a', ' ', 'SET')), (parts) => {
      expandWord(parts.join(''), variables, { escape: '\\' });
    }),
    randomRuns(),
  );
  assert.match(expand('${a:-'.repeat(100_000)), /^! variables are nested/u);
  assert.match(expand(`\${SET//s/${'x'.repeat(1_100_000)}}`), /^! a word grows longer/u);
});

/** Texts on which sh and Dockerfiles agree: no blanks that sh would collapse, no characters special to sh alone. */
const plain = fc.constantFrom('a', 'b', '.', '-', 'xy', '/');
const piece: fc.Arbitrary<string> = fc.letrec<{ word: string; piece: string }>((tie) => ({
  word: fc.array(tie('piece'), { maxLength: 3 }).map((parts) => parts.join('')),
  piece: fc.oneof(
    { depthSize: 'small' },
    plain,
    fc.constantFrom('$SET', '${SET}', '${EMPTY}', '$GONE', "'q $SET'", '"$SET q"', '\\$SET'),
    fc
      .tuple(fc.constantFrom('SET', 'EMPTY', 'GONE'), fc.constantFrom(':-', '-', ':+', '+'), tie('word'))
      .map(([name, operator, word]) => `\${${name}${operator}${word}}`),
    fc
      .tuple(
        fc.constantFrom('SET', 'PATHLIKE', 'EMPTY'),
        fc.constantFrom('#', '##', '%', '%%'),
        fc.array(fc.constantFrom('*', '?', '.', 'o', 'gz', 't')),
      )
      .map(([name, operator, pattern]) => `\${${name}${operator}${pattern.join('')}}`),
  ),
})).piece;

const shells = [['/bin/sh'], ['dash'], ['busybox', 'sh']].filter(
  ([program = '']) => spawnSync(program, ['-c', 'true']).error === undefined,
);

/** What a shell makes of each text, as one word: no splitting, no file names. */
function shellTexts([program = '', ...before]: readonly string[], texts: readonly string[]): readonly string[] {
  const script = texts.map((text) => `printf '%s\\0' "\${none}"${text}`).join('\n');
  const env = { ...Object.fromEntries(variables), PATH: process.env['PATH'] };
  const output = execFileSync(program, [...before, '-f', '-c', `IFS=\n${script}`], { env, encoding: 'utf8' });
  return output.split('\0').slice(0, -1);
}

test('expands like sh where the languages agree', () => {
  assert.ok(shells.length > 0);
  const texts = fc.sample(fc.array(piece, { minLength: 1, maxLength: 4 }), { numRuns: 600, seed: 7 }).map((parts) => parts.join(''));
  for (const shell of shells) {
    const wanted = shellTexts(shell, texts);
    assert.equal(wanted.length, texts.length);
    for (const [index, text] of texts.entries()) assert.equal(expand(text), wanted[index], `${shell.join(' ')}: ${text}`);
  }
});

// BuildKit's lexer is the measure here, not sh.
test('where Dockerfiles and sh differ', () => {
  const cases: readonly (readonly [text: string, here: string, sh: string])[] = [
    // What has a meaning in sh alone is plain text.
    ['$(echo x)', '$(echo x)', 'x'],
    ['`echo x`', '`echo x`', 'x'],
    ['$((1+1))', '$((1+1))', '2'],
    // Only the quote, "$" and the escape character can be escaped in double quotes.
    ['"\\`"', '\\`', '`'],
    // Quotes mean the same in a default value within double quotes as outside, and do not protect "*" in a pattern.
    [`"\${GONE:-'q'}"`, 'q', "'q'"],
    ['${PATHLIKE#"*"}', 'one.two.tar.gz', 'one.two.tar.gz'],
    ['${PATHLIKE##"*"}', '', 'one.two.tar.gz'],
    // Sets in brackets are plain text.
    ['${PATHLIKE#[o]}', 'one.two.tar.gz', 'ne.two.tar.gz'],
    ['${PATHLIKE%[!a]}', 'one.two.tar.gz', 'one.two.tar.g'],
    // A name of digits is as long as there are digits; special parameters are not set.
    ['$10', '', '0'],
    ['$#', '', '0'],
    // The length of a variable is not known.
    ['${#SET}', '! unsupported modifier (S) in substitution', '1'],
    // Nothing is assigned.
    ['${GONE:=d}', '! unsupported modifier (:=) in substitution', 'd'],
    // A backslash in a pattern only stands before characters that mean something.
    ['${PATHLIKE#\\o}', '! Invalid escape "\\o" in pattern "\\o"', 'ne.two.tar.gz'],
  ];
  for (const shell of shells) {
    const found = shellTexts(
      shell,
      cases.map(([text]) => text),
    );
    for (const [index, [text, here, sh]] of cases.entries()) {
      assert.equal(expand(text), here, text);
      assert.equal(found[index], sh, `${shell.join(' ')}: ${text}`);
    }
  }
});
