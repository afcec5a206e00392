import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRows } from './rows.ts';
import { compileTemplate } from './template.ts';

const image = {
  Id: 'sha256:abc',
  RepoTags: ['a:1', 'b:2'],
  Config: { Env: ['A=1', 'B=<2>'], Labels: { z: '1', a: '2' }, Cmd: null, User: '' },
  Size: 12,
  Empty: [],
  Nothing: null,
};

test('templates print fields as Go does', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['{{.Id}}', 'sha256:abc'],
    ['a {{ .Size }} b', 'a 12 b'],
    ['{{.RepoTags}}', '[a:1 b:2]'],
    ['{{.Config.Labels}}', 'map[a:2 z:1]'],
    ['{{json .Config.Env}}', '["A=1","B=\\u003c2\\u003e"]'],
    ['{{index .RepoTags 1}}', 'b:2'],
    ['{{index .Config.Labels "z"}}', '1'],
    ['{{(index .RepoTags 0) | upper}}', 'A:1'],
    ['{{len .RepoTags}}', '2'],
    ['{{join .RepoTags ", "}}', 'a:1, b:2'],
    ['{{range .Config.Env}}{{println .}}{{end}}', 'A=1\nB=<2>\n'],
    ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
    ['{{if .Config.User}}{{.Config.User}}{{else}}root{{end}}', 'root'],
    ['{{if eq .Size 12}}y{{end}}', 'y'],
    ['{{with .Config}}{{.User}}!{{end}}', '!'],
    ['{{.Config.Cmd}}', '[]'],
    ['{{.Nothing}}', '<no value>'],
    ['{{.ID}}', 'sha256:abc'],
    ['{{$x := .Size}}{{$x}}{{$x = 3}}-{{$x}}{{$y := $}}{{$y.Id}}', '12-3sha256:abc'],
    ['{{range $i, $e := .RepoTags}}{{if $i}},{{end}}{{$i}}={{$e}}{{end}}', '0=a:1,1=b:2'],
    ['{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}', 'a=2 z=1 '],
    ['{{$n := 0}}{{range .RepoTags}}{{$n = len .}}{{end}}{{$n}}', '3'],
    ['{{range .RepoTags}}{{if eq . "b:2"}}{{break}}{{end}}{{.}}{{$.Size}}{{end}}', 'a:112'],
    ['{{range .RepoTags}}{{if eq . "a:1"}}{{continue}}{{end}}{{.}}{{end}}', 'b:2'],
    ['{{range $x := .Empty}}{{$x}}{{else}}no {{.Size}}{{end}}', 'no 12'],
    ['{{if eq .Size 1}}one{{else if eq .Size 12}}twelve{{else}}other{{end}}', 'twelve'],
    ['{{with .Nothing}}a{{else with .Config}}{{.User}}b{{end}}', 'b'],
    ['{{with $x := .Size}}{{$x}}{{.}}{{end}}', '1212'],
    ['{{and .Size .Id | len}} {{or .Nothing "x"}} {{not .Nothing}} {{and false .Nope}}', '10 x true false'],
    ['{{lt 1 2}}{{le 2 2}}{{gt "a" "b"}}{{ge 3 2}}{{ne 1 2}}{{eq .Size 1 12}}', 'truetruefalsetruetruetrue'],
    [
      '{{printf "%-6s|%4d|%04d|%.1f|%q|%v|%x|%5.1f%%" "ab" 7 -42 2.55 "q" .RepoTags "hi" 2.5}}',
      'ab    |   7|-042|2.5|"q"|[a:1 b:2]|6869|  2.5%',
    ],
    ['{{printf "%d" "x"}} {{printf "%s"}} {{printf "a" 1}}', '%!d(string=x) %!s(MISSING) a%!(EXTRA int=1)'],
    ['{{slice .Id 7 9}} {{slice .RepoTags 1}}', 'ab [b:2]'],
    [
      '{{title "a team\'s x"}}|{{pad "x" 1 2}}|{{pad "" 1 1}}|{{split "a/b" "/"}}|{{truncate (.Id | upper) 4}}',
      "A Team's X| x  ||[a b]|SHA2",
    ],
    ['{{html "<a&b>"}} {{urlquery "a b&c"}}', '&lt;a&amp;b&gt; a+b%26c'],
    ['{{print 1 2 "x" 3}}', '1 2x3'],
    ['{{"\\t\\x41"}}{{`\\t`}}{{printf "%c" \'a\'}}', '\tA\\ta'],
    ['{{/* a }} b */ -}}  x', 'x'],
    ['x {{- .Size -}} y', 'x12y'],
    ['{{/* note */}}x', 'x'],
    ['{{"a}}b"}}', 'a}}b'],
    ['{{truncate .Id 6}}', 'sha256'],
    ['no action', 'no action'],
  ];
  for (const [source, printed] of cases) assert.equal(compileTemplate(source)(image), printed, source);
});

test('what a template gets wrong is said', () => {
  for (const source of [
    '{{',
    '{{.A',
    '{{range .X}}',
    '{{.Nope}}',
    '{{nope .Id}}',
    '{{$x}}',
    '{{if .Id}}',
    '{{else}}',
    '{{end}}',
    '{{break}}',
    '{{if .Id}}{{else}}{{else}}{{end}}',
    '{{if .Id}}{{$z := 1}}{{end}}{{$z}}',
    '{{eq 1 "1"}}',
    '{{lt .RepoTags 1}}',
    '{{template "x"}}',
    '{{upper}}',
    '{{slice .Id 3 1}}',
    '{{range .Id}}{{end}}',
    '{{index .RepoTags 5}}',
    '{{.Id .Size}}',
    '{{(.Id}}',
    '{{|}}',
    '{{.constructor}}',
  ]) {
    assert.throws(() => compileTemplate(source)(image), { code: 'cli/bad-template' }, source);
  }
});

test('mistakes in the text of a template have the words of Go', () => {
  for (const [source, message] of [
    ['{{.ID', 'template parsing error: template: :1: unclosed action'],
    ['\n{{nope .ID}}', 'template parsing error: template: :2: function "nope" not defined'],
    ['{{range .X}}', 'template parsing error: template: :1: unexpected EOF'],
    ['{{$x}}', 'template parsing error: template: :1: undefined variable "$x"'],
  ] as const)
    assert.throws(() => compileTemplate(source), { message });
});

test('rows come as a table, as JSON lines or through a template', () => {
  const format = { table: '{{.Name}}\t{{.Size}}\t{{.End}}', titles: { Name: 'NAME', Size: 'SIZE', End: 'END' } };
  const rows = [
    { Name: 'first one', Size: '1MB', End: 'x' },
    { Name: 'b', Size: '20.25MB and so on', End: '' },
  ];
  assert.equal(
    formatRows(rows, undefined, format),
    ['NAME        SIZE                END', 'first one   1MB                 x', 'b           20.25MB and so on   ', ''].join('\n'),
  );
  assert.equal(formatRows([], undefined, format), 'NAME      SIZE      END\n');
  assert.equal(formatRows(rows.slice(0, 1), 'table {{.End}}\\t{{.Name}}', format), 'END       NAME\nx         first one\n');
  assert.equal(formatRows(rows, 'json', format).split('\n')[0], '{"Name":"first one","Size":"1MB","End":"x"}');
  assert.equal(formatRows(rows, '{{.Name}}\\t{{.End}}', format), 'first one\tx\nb\t\n');
  assert.equal(formatRows([], '{{.Name}}', format), '');
  assert.equal(formatRows([], 'table {{json .Name}} {{truncate .Size 1}} {{lower .End}}', format), 'NAME SIZE END\n');
  assert.equal(formatRows(rows, '{{range split .Name " "}}{{.}};{{end}}', format), 'first;one;\nb;\n');
  assert.throws(() => formatRows([], '{{.Nmae}}', format), { code: 'cli/bad-template', hint: 'There is .Name .Size .End' });
});

test('index looks only for what a map has of its own', () => {
  assert.equal(compileTemplate('{{index . "constructor"}}|{{index . "a"}}|{{index . "__proto__"}}')({ a: 'b' }), '|b|');
});
