package embedded

import (
	"context"
	"slices"
)

// branch is one branch of a $or, with the plan that finds its documents.
type branch struct {
	plan
	filter *filter
}

// unite returns the plan that finds the documents of each branch of a $or by an index. ok
// is false if a branch has none.
func (c *collection) unite(f *filter) (u plan, ok bool) {
	spans := 0
	for _, b := range f.anyOf {
		// What holds for all branches may also find the documents of one.
		p := c.chooseOne(&filter{predicates: slices.Concat(b.predicates, f.predicates)}, nil)
		if spans += len(p.spans); p.score <= 0 || spans > maxSpans {
			return plan{}, false
		}
		if len(u.union) == 0 || p.score < u.score {
			u.score = p.score
		}
		u.union = append(u.union, branch{p, b})
	}
	return u, len(u.union) > 0
}

// walkUnion walks the branches one after the other. Of the documents that it finds, it
// visits those that match the branch and none before, so that no document comes twice.
func (p *plan) walkUnion(ctx context.Context, t *txn, c *collection, at *position, visit visitor) error {
	for ; at.branch < len(p.union); *at = (position{branch: at.branch + 1}) {
		here, before := p.union[at.branch], p.union[:at.branch]
		more, err := here.walkSpans(ctx, t, c, at, func(id []byte, d document) (bool, error) {
			if !here.filter.matches(d) || slices.ContainsFunc(before, func(b branch) bool { return b.filter.matches(d) }) {
				return true, nil
			}
			return visit(id, d)
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// indexes returns the indexes that a plan walks.
func (p *plan) indexes() []*index {
	var list []*index
	if p.ix != nil {
		list = append(list, p.ix)
	}
	for _, b := range p.union {
		list = append(list, b.indexes()...)
	}
	return list
}
