/** Dockerfiles at random: every instruction, flags, both escape characters, directives, continuations, comments, here-documents. */
import fc from 'fast-check';

type Style = { readonly escape: '\\' | '`' };

const blank = fc.constantFrom(' ', '  ', '\t', ' \t ');
const plainWord = fc.stringMatching(/^[a-zA-Z0-9./:@$_{}é-]{1,8}$/u).filter((word) => !word.startsWith('--') && !/\$\{|[{}]/u.test(word));
const oddWord = fc.constantFrom(
  '"a b"',
  "'q'",
  '$X',
  '${X:-y}',
  'a=b',
  '[x]',
  '😀',
  'x"y',
  "it's",
  '#no',
  'a\u00a0b',
  '["a"',
  'b"]',
  '*.c',
  '?',
  '=',
);
const word = fc.oneof({ weight: 3, arbitrary: plainWord }, oddWord);
const words = fc.array(word, { minLength: 1, maxLength: 4 });
const quoted = fc.oneof(plainWord, fc.constantFrom('"a b"', "'c d'", '$X', '""', 'a"b c"d'));
const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,4}$/u);
const jsonText = fc.oneof(plainWord, fc.string({ maxLength: 6 }), fc.constantFrom('a b', ',', '","', '\\', '<<A', '--x', ''));
const jsonList = (minLength: number): fc.Arbitrary<string> =>
  fc.array(jsonText, { minLength, maxLength: 4 }).map((list) => JSON.stringify(list.map((text) => text.toWellFormed())));
const comment = fc.oneof(
  fc.constant('#'),
  fc.constantFrom('# words', '#tight', '  # indented', '# check=skip=all', '# escape=`', '# A description'),
);
const time = fc.constantFrom('30s', '1m30s', '500ms', '0');

function oneOf(...names: readonly string[]): fc.Arbitrary<string> {
  return fc.constantFrom(...names);
}

/** Some of the flags, in any order. */
function flags(...all: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...all.map((flag) => fc.option(flag, { nil: '' }))).map((chosen) =>
    chosen
      .filter((flag) => flag !== '')
      .map((flag) => `${flag} `)
      .join(''),
  );
}

const mount = fc.constantFrom(
  '--mount=type=cache,target=/c',
  '--mount="type=bind,target=/a b"',
  '--mount=type=secret,id=x,env=$Y',
  '--mount=type=bind,\\"source=a,b\\",target=/t',
  "--mount='type=tmpfs,target=/t'",
);
const heredoc = fc
  .record({
    name: fc.constantFrom('EOF', 'A', 'end_1'),
    quote: fc.constantFrom('', '"', "'"),
    chomp: fc.boolean(),
    body: fc.array(fc.constantFrom('', 'text', '\ttabbed', '# no comment', '$X', 'RUN x', 'EOF ', ' A', '\\', 'é😀'), { maxLength: 4 }),
  })
  .map(({ name: end, quote, chomp, body }) => ({
    head: `<<${chomp ? '-' : ''}${quote}${end}${quote}`,
    body: `\n${body.map((line) => `${line}\n`).join('')}${chomp ? '\t' : ''}${end}`,
  }));
const copyFlags = [
  oneOf('--chown=1:2', '--chown=a'),
  oneOf('--chmod=755', '--chmod=u+x'),
  oneOf('--link', '--link=false'),
  oneOf('--exclude=a', '--exclude=b\\ c'),
];

const command = fc.oneof(
  words.map((list) => list.join(' ')),
  jsonList(1),
);
const shellText = words.map((list) => list.join(' ')).filter((text) => !text.includes('<<'));
const pair = fc.tuple(name, quoted).map(([key, value]) => `${key}=${value}`);
const pairs = fc.oneof(
  { weight: 3, arbitrary: fc.array(pair, { minLength: 1, maxLength: 3 }).map((list) => list.join(' ')) },
  fc.tuple(name, word).map((list) => list.join('  ')),
);
const list = fc.oneof(
  fc.array(plainWord, { minLength: 2, maxLength: 3 }).map((all) => all.join(' ')),
  jsonList(2),
);

/** The arguments of one instruction, in one line, and the here-documents that follow it. */
type Body = { readonly line: string; readonly after: string };
const only = (line: fc.Arbitrary<string>): fc.Arbitrary<Body> => line.map((text) => ({ line: text, after: '' }));
const with2 = (before: fc.Arbitrary<string>, rest: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(before, rest).map((both) => both.join(''));

const bodies: Readonly<Record<string, fc.Arbitrary<Body>>> = {
  add: only(with2(flags(...copyFlags, oneOf('--checksum=x'), oneOf('--keep-git-dir=true'), oneOf('--unpack')), list)),
  arg: only(fc.array(fc.oneof(name, pair), { minLength: 1, maxLength: 2 }).map((all) => all.join(' '))),
  cmd: only(command),
  copy: fc.oneof(
    only(with2(flags(...copyFlags, oneOf('--from=a', '--from=0'), oneOf('--parents')), list)),
    fc.tuple(flags(...copyFlags), fc.array(heredoc, { minLength: 1, maxLength: 2 }), plainWord).map(([before, documents, target]) => ({
      line: `${before}${documents.map(({ head }) => head).join(' ')} ${target}`,
      after: documents.map(({ body }) => body).join(''),
    })),
  ),
  entrypoint: only(command),
  env: only(pairs),
  expose: only(words.map((all) => all.join('\t'))),
  healthcheck: only(
    fc.oneof(
      fc.constantFrom('NONE', 'none'),
      with2(
        flags(
          time.map((value) => `--interval=${value}`),
          time.map((value) => `--timeout=${value}`),
          oneOf('--retries=3'),
        ),
        shellText.map((text) => `CMD ${text}`),
      ),
    ),
  ),
  label: only(pairs),
  maintainer: only(shellText),
  run: fc.oneof(
    only(with2(flags(mount, mount, oneOf('--network=none', '--network="host"'), oneOf('--security=sandbox')), command)),
    fc.tuple(flags(mount), fc.array(heredoc, { minLength: 1, maxLength: 2 }), fc.option(plainWord)).map(([before, documents, program]) => ({
      line: `${before}${program === null ? '' : `${program} `}${documents.map(({ head }) => head).join(' ')}`,
      after: documents.map(({ body }) => body).join(''),
    })),
  ),
  shell: only(jsonList(1)),
  stopsignal: only(plainWord),
  user: only(plainWord),
  volume: only(
    fc
      .oneof(
        words.map((all) => all.join(' ')),
        jsonList(1),
      )
      .filter((text) => !/"\s*"/u.test(text)),
  ),
  workdir: only(shellText),
};

const casing = fc.constantFrom(
  (text: string) => text,
  (text: string) => text.toUpperCase(),
);
const plainInstruction = fc
  .constantFrom(...Object.keys(bodies))
  .chain((key) =>
    fc.tuple(casing, bodies[key] ?? bodies['user']!).map(([change, body]) => ({ ...body, line: `${change(key)} ${body.line}` })),
  );
const instruction = fc.oneof(
  { weight: 8, arbitrary: plainInstruction },
  plainInstruction.filter(({ line }) => !/^maintainer/iu.test(line)).map(({ line, after }) => ({ line: `ONBUILD ${line}`, after })),
);
const from = fc
  .tuple(
    flags(oneOf('--platform=linux/amd64', '--platform=$BUILDPLATFORM')),
    oneOf('alpine', 'a/b:1', '${X}', 'scratch'),
    fc.option(oneOf('AS one', 'as Two', 'As 3x').filter((text) => !text.endsWith('3x'))),
  )
  .map(([before, image, alias]) => ({
    line: `FROM ${before}${image}${alias === null ? '' : ` ${alias}`}`,
    after: '',
  }));

/** How one blank of an instruction is written: as it is, or with the line broken there. */
const lineEnding = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  fc
    .tuple(fc.constantFrom('', ' ', '\t '), fc.array(fc.oneof(comment, fc.constantFrom('', '  ')), { maxLength: 2 }))
    .map(([end, lines]) => `${end}\n${lines.map((line) => `${line}\n`).join('')}`),
);

/** Breaks the line behind the instruction's name, where every instruction may be broken, and leaves the rest. */
function written({ escape }: Style): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.array(fc.oneof(comment, fc.constant('')), { maxLength: 2 }),
      fc.constantFrom('', '  ', '\t'),
      fc.oneof({ weight: 5, arbitrary: instruction }, from),
      lineEnding,
      blank,
    )
    .map(([above, indent, { line, after }, lineBreak, gap]) => {
      const end = line.indexOf(' ');
      const broken =
        lineBreak === '' || line[end + 1] === '#' ? `${line.slice(0, end)}${gap}` : `${line.slice(0, end)} ${escape}${lineBreak}`;
      return `${above.map((each) => `${each}\n`).join('')}${indent}${broken}${line.slice(end + 1)}${after}`;
    });
}

const top = fc.record({
  syntax: fc.boolean(),
  escape: fc.constantFrom<'\\' | '`'>('\\', '`'),
  check: fc.boolean(),
  breaks: fc.constantFrom('\n', '\r\n'),
  bom: fc.boolean(),
});

/** Without faults for the parser. */
export const anyDockerfile: fc.Arbitrary<string> = top.chain((style) => {
  const directives = [
    ...(style.syntax ? ['# syntax=docker/dockerfile:1'] : []),
    ...(style.escape === '`' ? ['#escape=`'] : []),
    ...(style.check ? ['# Check = skip=all '] : []),
  ];
  return fc
    .tuple(fc.array(name, { maxLength: 2 }), fc.array(written(style), { maxLength: 8 }), fc.constantFrom('', '\n', '\n\n# end\n#\n'))
    .map(([args, lines, end]) => {
      const text = [...directives, ...args.map((each) => `ARG ${each}`), 'FROM base', ...lines].join('\n') + end;
      return `${style.bom ? '\ufeff' : ''}${style.breaks === '\n' ? text : text.replaceAll('\n', '\r\n')}`;
    });
});
