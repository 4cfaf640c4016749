// Runs Lua scripts as Argo CD does: in gopher-lua, with its libraries `package`, `base` and `table`, of `os` only the clock,
// a global `obj`, and one second.
//
// It reads {"script": "...", "object": {...}} as JSON, one a line, and writes one line for each: {"returned": ...}, or
// {"error": "..."}. It ends when standard input does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

type question struct {
	Script string         `json:"script"`
	Object map[string]any `json:"object"`
}

type answer struct {
	Returned any    `json:"returned,omitempty"`
	Error    string `json:"error,omitempty"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lua:", err)
		os.Exit(1)
	}
}

func serve(questions io.Reader, answers io.Writer) error {
	lines, out := bufio.NewReader(questions), json.NewEncoder(answers)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		reply := answer{}
		if reply.Returned, err = run(line); err != nil {
			reply = answer{Error: err.Error()}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

func run(line []byte) (any, error) {
	asked := question{}
	if err := json.Unmarshal(line, &asked); err != nil {
		return nil, err
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable}
	if err := open(state, lua.LoadLibName, lua.OpenPackage); err != nil { // before all others
		return nil, err
	}
	for name, library := range libraries {
		if err := open(state, name, library); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, clock)
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", toLua(state, asked.Object))
	if err := state.DoString(asked.Script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
	}
	return fromLua(table)
}

func open(state *lua.LState, name string, library lua.LGFunction) error {
	call := lua.P{Fn: state.NewFunction(library), NRet: 0, Protect: true}
	return state.CallByParam(call, lua.LString(name))
}

// clock is what `require("os")` gives: the whole library opened aside, and two functions of it.
func clock(state *lua.LState) int {
	aside := lua.NewState(lua.Options{SkipOpenLibs: true})
	aside.Push(aside.NewFunction(lua.OpenOs))
	aside.Call(0, 1)
	whole := aside.Get(-1).(*lua.LTable)
	module := state.NewTable()
	for _, name := range []string{"time", "date"} {
		module.RawSetString(name, state.NewFunction(whole.RawGetString(name).(*lua.LFunction).GFunction))
	}
	aside.Close()
	state.Push(module)
	return 1
}
