package main

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// toLua makes a Lua value of one that was read from JSON. A member that is null is missing.
func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for name, member := range value {
			table.RawSetString(name, toLua(state, member))
		}
		return table
	}
	return lua.LNil
}

// fromLua is the way back. An empty table becomes an empty array, as in Argo CD, which cannot know better either.
func fromLua(value lua.LValue) (any, error) {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value), nil
	case lua.LNumber:
		return float64(value), nil
	case lua.LString:
		return string(value), nil
	case *lua.LTable:
		return fromTable(value)
	}
	return nil, fmt.Errorf("a %s is no JSON", value.Type())
}

func fromTable(table *lua.LTable) (any, error) {
	items, members := make([]any, 0, table.Len()), map[string]any{}
	var failure error
	table.ForEach(func(key, value lua.LValue) {
		converted, err := fromLua(value)
		if err != nil {
			failure = err
		}
		if name, ok := key.(lua.LString); ok {
			members[string(name)] = converted
		} else {
			items = append(items, converted)
		}
	})
	switch {
	case failure != nil:
		return nil, failure
	case len(members) == 0:
		return items, nil
	case len(items) > 0:
		return nil, fmt.Errorf("a table with %d items and %d members is no JSON", len(items), len(members))
	}
	return members, nil
}
