// What an application's dashboard switches, as the SDK sees it.

import { afterEach, before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control } from '../cubegate.mjs'
import { client, person, sdk, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('settings of the application', () => {
  let found
  before(async () => {
    found = await control('GET', 'settings')
  })
  afterEach(() => control('PUT', 'settings', found))

  const change = (settings) => control('PUT', 'settings', { ...found, ...settings })

  test('unknown users are refused when they are not to be created', async () => {
    const ada = await person('ada')
    await change({ deny_auto_create: true })
    const unknown = { login: `nobody-${unique()}`, password: 'secret-secret' }
    await assert.rejects(sdk().createSession(unknown), { code: 404, info: { errors: ['User not found'] } })
    await client(ada)
    await sdk().users.signup(unknown)
    await client(unknown)
  })

  test('a dialog has the extensions that are configured, and no others', async () => {
    await change({ dialog_extensions: ['location'] })
    const bob = await person('bob')
    const { dialog } = (await client(await person('ada'))).chat
    const fields = { type: 2, name: 'group', occupants_ids: [bob.id] }
    const { _id, extensions } = await dialog.create({ ...fields, extensions: { location: 'here', other: 'x' } })
    assert.deepEqual(extensions, { location: 'here' })
    const changed = await dialog.update(_id, { extensions: { location: null } })
    assert.equal(changed.extensions?.location ?? null, null)
  })

  describe('the first interface for users, switched on', () => {
    beforeEach(() => change({ v1_users: true }))

    test('finds one user by what identifies', async () => {
      const external_id = `ext-${unique()}`
      const ada = await person('ada', { external_id })
      const it = await client(ada)
      for (const query of [ada.id, { login: ada.login }, { email: ada.email }, { external: external_id }]) {
        assert.equal((await it.users.get(query)).user.id, ada.id, JSON.stringify(query))
      }
      await assert.rejects(it.users.get({ login: `nobody-${unique()}` }), { code: 404 })
    })

    test('finds several, in pages', async () => {
      const name = `Ada ${unique()}`
      const people = [await person('one', { full_name: name }), await person('two', { full_name: name })]
      const it = await client(people[0])
      const byName = await it.users.get({ full_name: name, page: 1, per_page: 10 })
      assert.deepEqual(byName.items.map(({ user }) => user.id).toSorted(), people.map((p) => p.id).toSorted())
      const value = people.map((p) => p.id)
      const page = await it.users.get({ filter: { field: 'id', param: 'in', value }, page: 2, per_page: 1 })
      assert.deepEqual([page.current_page, page.per_page, page.total_entries, page.items.length], [2, 1, 2, 1])
    })
  })
})
