/** The tags of a repository, in pages as registries give them, and what is wrong with some. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { startRegistry, type TestRegistry, type Twist } from '#test/kit/registry.ts';
import { clientFor, signal } from '#test/kit/transfer.ts';

/** Answers the list by its query. */
function pages(answer: (query: string, registry: TestRegistry) => { readonly body: unknown; readonly link?: string }): Twist {
  return ({ response, url, registry }) => {
    if (url.pathname !== '/v2/app/tags/list') return false;
    const { body, link } = answer(url.search, registry);
    response.writeHead(200, { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) });
    response.end(JSON.stringify(body));
    return true;
  };
}

async function tagsOf(twist: Twist) {
  await using registry = await startRegistry();
  registry.twist = twist;
  using client = clientFor();
  const tags = await client.listTags({ registry: registry.host, repository: 'app' }, signal);
  return { tags, elsewhere: registry.seenElsewhere.length };
}

test('all pages are read, in their order; a link to another host is asked of this one', async () => {
  const { tags, elsewhere } = await tagsOf(
    pages((query, { otherHost }) => {
      if (query === '') return { body: { name: 'app', tags: ['b', 'a'] }, link: '</v2/app/tags/list?last=a&n=2>; rel="next"' };
      if (query === '?last=a&n=2') return { body: { tags: ['c', 'a'] }, link: `<http://${otherHost}/elsewhere?last=c>; rel=next` };
      return { body: { tags: query === '?last=c' ? ['d'] : [query] } };
    }),
  );
  assert.deepEqual(tags, ['b', 'a', 'c', 'd']);
  assert.equal(elsewhere, 0);
});

test('a repository that has lost its tags has none', async () => {
  assert.deepEqual((await tagsOf(pages(() => ({ body: { name: 'app', tags: null } })))).tags, []);
});

test('a list without an end, tags that are none, and what is no list are errors of the registry', async () => {
  const bad = [
    pages(() => ({ body: { tags: ['a'] }, link: '<?last=a>; rel="next"' })),
    pages(() => ({ body: { tags: ['a', '../b'] } })),
    pages(() => ({ body: { tags: 'a' } })),
  ];
  for (const twist of bad) await assert.rejects(tagsOf(twist), (error) => isCode(error, 'registry/bad-answer'));
});
