// Sign-up, profiles, look-ups and leaving.

import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control } from '../cubegate.mjs'
import { client, person, sdk, unique, withoutProvider } from './devices.mjs'

withoutProvider()

/** Matches a refusal by status and by a text among its errors. */
const refusal = (code, text = /./) => (e) => {
  const texts = Object.values(e.info?.errors ?? {}).flat()
  return e.code === code && texts.some((t) => text.test(t))
}

describe('sign-up', () => {
  test('the key is enough, and there is no session afterwards', async () => {
    const it = sdk()
    const login = `ada-${unique()}`
    const { user } = await it.users.signup({ login, password: 'secret-secret' })
    assert.ok(Number.isInteger(user.id) && user.id > 0 && user.id < 2 ** 31, `${user.id}: native SDKs take 32 bits`)
    assert.equal(user.login, login)
    assert.equal(user.password, undefined)
    await assert.rejects(it.getSession(), { code: 401 })
  })

  test('a whole profile is kept', async () => {
    const mine = unique()
    const profile = {
      login: `ada-${mine}`,
      email: `Ada-${mine}@Example.org`,
      password: 'secret-secret',
      full_name: 'Ada Lovelace',
      phone: '47802323143',
      website: 'example.org',
      external_id: `ext-${mine}`,
      custom_data: JSON.stringify({ middle_name: 'King' }),
      tag_list: ['mathematics', 'poetry'],
      avatar: 'avatar-uid',
    }
    const it = sdk()
    const { user } = await it.users.signup(profile)
    await it.createSession({ login: profile.login, password: profile.password })
    const [read] = (await it.users.getV2({ id: user.id })).items
    for (const shown of [user, read]) {
      assert.equal(shown.email, profile.email.toLowerCase())
      assert.equal(shown.full_name, profile.full_name)
      assert.equal(shown.phone, profile.phone)
      assert.equal(shown.website, 'http://example.org')
      assert.equal(shown.external_id, profile.external_id)
      assert.equal(shown.custom_data, profile.custom_data)
      assert.equal(shown.user_tags, 'mathematics,poetry')
      assert.equal(shown.avatar, profile.avatar)
    }
  })

  test('an application session is enough, too', async () => {
    const it = sdk()
    await it.createSession()
    const { user } = await it.users.signup({ login: `ada-${unique()}`, password: 'secret-secret' })
    assert.ok(user.id)
    assert.equal((await it.getSession()).user_id, null)
  })

  test('a wrong key is not', async () => {
    await assert.rejects(sdk().users.signup({ login: `ada-${unique()}`, password: 'secret-secret' }, 'wrong'), { code: 401 })
  })

  for (const [what, change, text] of [
    ['a login that is taken', (ada) => ({ login: ada.login }), /login must be unique/],
    ['an email that is taken', (ada) => ({ email: ada.email }), /email must be unique/],
    ['an email that is taken in another letter case', (ada) => ({ email: ada.email.toUpperCase() }), /email must be unique/],
    ['a short login', () => ({ login: 'ab' }), /./],
    ['a long login', () => ({ login: 'a'.repeat(71) }), /./],
    ['a short password', () => ({ password: '12345' }), /./],
    ['a long password', () => ({ password: 'x'.repeat(41) }), /./],
    ['a text that is no email', () => ({ email: 'nobody' }), /./],
    ['a sixth tag', () => ({ tag_list: ['a', 'b', 'c', 'd', 'e', 'f'] }), /./],
    ['neither login nor email', () => ({ login: undefined, email: undefined }), /./],
  ]) {
    test(`${what} is refused`, async () => {
      const ada = await person('ada')
      const wanted = { login: `eve-${unique()}`, password: 'secret-secret', ...change(ada) }
      await assert.rejects(sdk().users.signup(wanted), refusal(422, text))
    })
  }
})

describe('users', () => {
  test('look-ups by what identifies', async () => {
    const ada = await person('ada', { external_id: `ext-${unique()}`, phone: unique() })
    const it = await client(ada)
    for (const field of ['id', 'login', 'email', 'full_name', 'external_id', 'phone']) {
      const { items, total_entries } = await it.users.getV2({ [field]: ada.user[field] })
      assert.deepEqual(items.map((u) => u.id), [ada.id], field)
      assert.equal(total_entries, 1)
    }
  })

  test('look-ups of several, sorted and in pages', async () => {
    const people = [await person('one'), await person('two'), await person('three')]
    const it = await client(people[0])
    const id = { in: people.map((p) => p.id) }
    const ids = people.map((p) => p.id)
    assert.deepEqual((await it.users.getV2({ id, sort_desc: 'id' })).items.map((u) => u.id), ids.toReversed())
    const page = await it.users.getV2({ id, sort_asc: 'id', limit: 2, offset: 1 })
    assert.deepEqual(page.items.map((u) => u.id), ids.slice(1))
    assert.deepEqual([page.total_entries, page.limit, page.skip], [3, 2, 1])
    assert.deepEqual((await it.users.getV2({ id, login: { nin: [people[0].login] } })).total_entries, 2)
  })

  test('look-ups by the beginning of a name, and by tag', async () => {
    const [name, tag] = [unique(), `t${unique()}`]
    const ada = await person('ada', { full_name: `${name} Lovelace`, tag_list: [tag] })
    const it = await client(ada)
    assert.deepEqual((await it.users.getV2({ full_name: { start_with: name } })).items.map((u) => u.id), [ada.id])
    assert.deepEqual((await it.users.getV2({ user_tags: tag })).items.map((u) => u.id), [ada.id])
  })

  test('a search without a match is an empty list', async () => {
    const it = await client(await person('ada'))
    const { items, total_entries } = await it.users.getV2({ login: `nobody-${unique()}` })
    assert.deepEqual([items, total_entries], [[], 0])
  })

  for (const [what, query] of [
    ['only an exclusion', { id: { nin: [1] } }],
    ['only a date', { created_at: { gt: new Date(0) } }],
    ['a beginning of three letters', { full_name: { start_with: 'ada' } }],
    ['nothing', {}],
  ]) {
    test(`a look-up by ${what} is refused`, async () => {
      const it = await client(await person('ada'))
      await assert.rejects(it.users.getV2(query), { code: 422 })
    })
  }

  test('the first interface for users is off, and says so', async () => {
    const ada = await person('ada')
    const it = await client(ada)
    await assert.rejects(it.users.get({ login: ada.login }), refusal(403, /Users retrieving forbidden/))
  })

  test('a profile is changed, and others see it', async () => {
    const it = await client(await person('ada'))
    const { user } = await it.users.update({ full_name: 'Countess', website: 'https://example.org', custom_data: 'x' })
    assert.equal(user.full_name, 'Countess')
    const other = await client(await person('bob'))
    const [seen] = (await other.users.getV2({ id: user.id })).items
    assert.deepEqual([seen.full_name, seen.website, seen.custom_data], ['Countess', 'https://example.org', 'x'])
  })

  test('a password is changed by who knows the old one', async () => {
    const ada = await person('ada')
    const it = await client(ada)
    await assert.rejects(it.users.update({ password: 'new-secret', old_password: 'not the old one' }), { code: 422 })
    await assert.rejects(it.users.update({ password: 'new-secret' }), { code: 422 })
    await it.users.update({ password: 'new-secret', old_password: ada.password })
    await assert.rejects(client(ada), { code: 401 })
    await client({ ...ada, password: 'new-secret' })
    await it.getSession() // sessions stay
  })

  test('what is taken cannot be changed to', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const it = await client(ada)
    await assert.rejects(it.users.update({ login: bob.login }), refusal(422, /login must be unique/))
  })

  test('who leaves is gone, with all sessions', async () => {
    const ada = await person('ada')
    const [it, other] = [await client(ada), await client(ada)]
    await it.users.delete()
    await assert.rejects(other.getSession(), { code: 401 })
    const bob = await client(await person('bob'))
    assert.equal((await bob.users.getV2({ id: ada.id })).items.length, 0)
  })

  test('a forgotten password: the mail is in the outbox', async () => {
    const ada = await person('ada')
    const it = sdk()
    await it.createSession()
    await it.users.resetPassword(ada.email)
    const outbox = JSON.stringify(await control('GET', 'outbox'))
    assert.ok(outbox.includes(ada.email), outbox.slice(-2000))
  })
})
