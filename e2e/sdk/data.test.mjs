// Custom data: records in classes, with permissions. A class comes into being with
// its first record, as a sandbox has no dashboard.

import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('custom data', () => {
  const newClass = () => `calls_${unique()}`

  test('a record is made, read, changed and deleted', async () => {
    const ada = await person('ada')
    const { data } = await client(ada)
    const calls = newClass()
    const made = await data.create(calls, { call_name: 'Group call', call_participants: [1, 2], is_group_call: true, call_duration: 0, user_id: 5 })
    assert.equal(made.user_id, ada.id)
    assert.equal(made._parent_id, null)
    assert.ok(Number.isInteger(made.created_at))
    assert.deepEqual(made.permissions, { read: { access: 'open' }, update: { access: 'owner' }, delete: { access: 'owner' } })

    const { class_name: name, items } = await data.list(calls, made._id)
    assert.deepEqual([name, items], [calls, [made]])
    const changed = await data.update(calls, { id: made._id, call_name: 'Ended', inc: { call_duration: 60 }, push: { call_participants: [3] } })
    assert.deepEqual([changed.call_name, changed.call_duration, changed.call_participants], ['Ended', 60, [1, 2, 3]])
    await data.delete(calls, made._id)
    await assert.rejects(data.list(calls, made._id), { code: 404 })
  })

  test('several are made, found, changed and deleted', async () => {
    const { data } = await client(await person('ada'))
    const calls = newClass()
    const { items } = await data.create(calls, [{ n: 1, tag: 'a' }, { n: 2, tag: 'b' }, { n: 3, tag: 'b', list: ['x', 'y'] }])
    assert.deepEqual(items.map((r) => r.n), [1, 2, 3])
    const ids = items.map((r) => r._id)
    const find = async (params) => (await data.list(calls, params)).items.map((r) => r.n)
    assert.deepEqual(await find({ n: { gt: 1 }, sort_desc: 'n' }), [3, 2])
    assert.deepEqual(await find({ tag: { in: ['a', 'c'] } }), [1])
    assert.deepEqual(await find({ list: { all: ['y', 'x'] } }), [3])
    assert.deepEqual(await find({ limit: 1, skip: 1 }), [2])
    assert.deepEqual(await find(ids.slice(1)), [2, 3])
    const [{ tag, ...rest }] = (await data.list(calls, { n: 1, output: { include: ['tag'] } })).items
    assert.deepEqual([tag, Object.keys(rest)], ['a', ['_id']])

    const two = await data.update(calls, [{ id: ids[0], n: 10 }, { id: 'f'.repeat(24), n: 0 }])
    assert.deepEqual([two.items[0].n, two.not_found.ids], [10, ['f'.repeat(24)]])
    const matching = await data.update(calls, { search_criteria: { tag: 'b' }, tag: 'c' })
    assert.equal(matching.total_found, 2)
    const report = await data.delete(calls, [ids[0], 'f'.repeat(24)])
    assert.deepEqual([report.SuccessfullyDeleted.ids, report.NotFound.ids], [[ids[0]], ['f'.repeat(24)]])
    assert.deepEqual(await data.delete(calls, { tag: { in: ['c'] } }), { total_deleted: 2 })
  })

  test('permissions are for the owner, users, and groups by their tags', async () => {
    const [owner, friend, officer, stranger] = [await person('owner'), await person('friend'), await person('officer', { tag_list: 'officers' }), await person('stranger')]
    const calls = newClass()
    const permissions = {
      read: { access: 'open_for_users_ids', ids: [friend.id, officer.id] },
      update: { access: 'open_for_groups', groups: ['officers'] },
      delete: { access: 'owner' },
    }
    const own = await client(owner)
    const { _id: id } = await own.data.create(calls, { n: 1, permissions })
    const seen = await own.data.readPermissions(calls, id)
    assert.equal(seen.record_id, id)
    assert.deepEqual(seen.permissions.update, { access: 'open_for_groups', users_groups: ['officers'] })
    for (const [who, read, update] of [[friend, true, false], [officer, true, true], [stranger, false, false]]) {
      const { data } = await client(who)
      assert.equal((await data.list(calls)).items.length, read ? 1 : 0, who.login)
      const change = data.update(calls, { id, n: 2 })
      if (update) assert.equal((await change).n, 2)
      else await assert.rejects(change, { code: 403 })
      await assert.rejects(data.delete(calls, id), { code: 403 })
      await assert.rejects(data.readPermissions(calls, id), { code: 403 })
    }
  })

  test('children go with their parent', async () => {
    const { data } = await client(await person('ada'))
    const [rooms, desks] = [newClass(), newClass()]
    const room = await data.create(rooms, { name: 'lab' })
    await data.create(desks, { name: 'desk', _parent_id: room._id })
    assert.equal((await data.list(desks, { _parent_id: room._id })).items[0].name, 'desk')
    await data.delete(rooms, room._id)
    assert.deepEqual((await data.list(desks)).items, [])
  })

  test('what the sandbox does not imitate is refused by name', async () => {
    const { data } = await client(await person('ada'))
    const calls = newClass()
    for (const [what, params] of [['near', { place: { near: '30.5,50.4;1000' } }], ['calc', { n: { calc: 'avg' } }], ['group_by', { group_by: 'n' }]]) {
      await assert.rejects(data.list(calls, params), ({ code, info }) => code === 422 && JSON.stringify(info).includes(what), what)
    }
  })
})
