package rest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

var (
	errNoRecords  = core.AsBase(422, "record must be an object of 1 to 1000 numbered records")
	errNoID       = core.AsBase(422, "each record must have an id")
	errTooManyIDs = core.AsBase(422, "at most 1000 records can be named")
	errNoCriteria = core.AsBase(422, "search criteria are required")
)

// author returns the author of a change of custom data.
func author(q *request, live *core.Session) core.Author {
	return core.Author{User: live.User, Now: q.now, Form: q.form}
}

func createRecord(s *API, q *request, live *core.Session) (reply, error) {
	made, err := s.Data.CreateRecords(q.args[0], author(q, live), s.Archive.NewID, q.params)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: s.recordBodies(made)[0]}, nil
}

// createRecords stores several records: all, or none.
func createRecords(s *API, q *request, live *core.Session) (reply, error) {
	list, err := numbered(q.params)
	if err != nil {
		return reply{}, err
	}
	made, err := s.Data.CreateRecords(q.args[0], author(q, live), s.Archive.NewID, list...)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: map[string]any{
		"class_name": q.args[0],
		"items":      s.recordBodies(made),
	}}, nil
}

// numbered returns the records of {"record":{"0":{…},"1":{…}}} in the order of their
// numbers, which begin at 0 or 1: https://developers.connectycube.com/server/custom_objects.
func numbered(p core.Params) ([]core.Params, error) {
	records := p.Object("record")
	if len(records) == 0 || len(records) > core.MostAtOnce {
		return nil, errNoRecords
	}
	list := make([]core.Params, 0, len(records))
	for _, number := range slices.SortedFunc(maps.Keys(records), numerically) {
		one := records.Object(number)
		if one == nil {
			return nil, errNoRecords
		}
		list = append(list, one)
	}
	return list, nil
}

// updateRecord changes one record. The JavaScript SDK sends the ID in the body, too.
func updateRecord(s *API, q *request, live *core.Session) (reply, error) {
	r := s.Data.Find(q.args[0], q.arg)
	switch {
	case r == nil:
		return reply{}, core.ErrNoResource
	case !r.Allows(live.User, core.ToUpdate):
		return reply{}, core.ErrForbidden
	}
	changed, err := s.Data.Update(author(q, live), core.Edit{Record: r, Fields: q.params})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: s.recordBodies(changed)[0]}, nil
}

// updateRecords changes several records, each with an id: all that exist and that the
// user may update, or none if a change is refused. That the answer names the others as
// WrongPermissions is assumed.
func updateRecords(s *API, q *request, live *core.Session) (reply, error) {
	list, err := numbered(q.params)
	if err != nil {
		return reply{}, err
	}
	missing, forbidden := idList{[]string{}}, idList{[]string{}}
	var edits []core.Edit
	for _, fields := range list {
		id := fields.Text("id")
		if id == "" {
			id = fields.Text("_id")
		}
		r := s.Data.Find(q.args[0], id)
		switch {
		case id == "":
			return reply{}, errNoID
		case r == nil:
			missing.IDs = append(missing.IDs, id)
		case !r.Allows(live.User, core.ToUpdate):
			forbidden.IDs = append(forbidden.IDs, id)
		default:
			edits = append(edits, core.Edit{Record: r, Fields: fields})
		}
	}
	changed, err := s.Data.Update(author(q, live), edits...)
	if err != nil {
		return reply{}, err
	}
	body := map[string]any{"class_name": q.args[0], "not_found": missing, "items": s.recordBodies(changed)}
	if len(forbidden.IDs) > 0 {
		body["WrongPermissions"] = forbidden
	}
	return reply{status: http.StatusOK, body: body}, nil
}

// updateMatching changes the records that the search criteria find and that the user may
// update.
func updateMatching(s *API, q *request, live *core.Session) (reply, error) {
	query, err := criteria(q.params.Object("search_criteria"))
	if err != nil {
		return reply{}, err
	}
	fields := maps.Clone(q.params)
	delete(fields, "search_criteria")
	var edits []core.Edit
	for r := range s.matching(q.args[0], query, live.User, core.ToUpdate) {
		edits = append(edits, core.Edit{Record: r, Fields: fields})
	}
	changed, err := s.Data.Update(author(q, live), edits...)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"class_name":  q.args[0],
		"skip":        0,
		"limit":       maxPage,
		"total_found": len(changed),
		"items":       s.recordBodies(changed[:min(len(changed), maxPage)]),
	}}, nil
}

// deleteRecords deletes the records of a list of IDs. For several it answers a report.
func deleteRecords(s *API, q *request, live *core.Session) (reply, error) {
	remove := func(id string) error {
		r := s.Data.Find(q.args[0], id)
		switch {
		case r == nil:
			return core.ErrNoResource
		case !r.Allows(live.User, core.ToDelete):
			return core.ErrForbidden
		}
		s.Data.Remove(r)
		return nil
	}
	if strings.Count(q.arg, ",") >= core.MostAtOnce {
		return reply{}, errTooManyIDs
	}
	if !strings.Contains(q.arg, ",") {
		return reply{status: http.StatusOK}, remove(q.arg)
	}
	return reply{status: http.StatusOK, body: deleteEach(q.arg, remove)}, nil
}

// deleteMatching deletes the records that the criteria find and that the user may delete.
func deleteMatching(s *API, q *request, live *core.Session) (reply, error) {
	query, err := criteria(q.params)
	if err != nil {
		return reply{}, err
	}
	found := slices.Collect(s.matching(q.args[0], query, live.User, core.ToDelete))
	s.Data.Remove(found...)
	return reply{status: http.StatusOK, body: map[string]int{"total_deleted": len(found)}}, nil
}

// recordBodies returns records as an answer shows them, with their permissions.
func (s *API) recordBodies(records []*core.Record) []map[string]any {
	items := make([]map[string]any, len(records))
	for i, r := range records {
		items[i] = s.recordBody(r)
		items[i]["permissions"] = permissionsBody(r)
	}
	return items
}

// recordBody returns a record without its permissions. Fields of the class that it lacks
// are null.
func (s *API) recordBody(r *core.Record) map[string]any {
	body := map[string]any{}
	for _, name := range s.Data.Fields(r.Class) {
		body[name] = nil
	}
	maps.Copy(body, r.Fields)
	for _, name := range []string{"_id", "_parent_id", "user_id", "created_at", "updated_at"} {
		body[name] = r.Value(name)
	}
	return body
}

// permissionJSON is a permission in an answer. Requests name the lists ids and groups.
type permissionJSON struct {
	Access string   `json:"access"`
	Users  []string `json:"users_ids,omitempty"`
	Groups []string `json:"users_groups,omitempty"`
}

func permissionsBody(r *core.Record) map[string]permissionJSON {
	body := map[string]permissionJSON{}
	for act, p := range r.Permissions {
		body[core.DataActs[act]] = permissionJSON(p)
	}
	return body
}
