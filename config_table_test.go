package holdfast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// table is the table of config_table.go, as package settings has it.
func table() []setting.Setting[holdfast.Config] {
	return setting.Client.([]setting.Setting[holdfast.Config])
}

// fields calls f with each field of a Config, those of its parts included.
func fields(cfg *holdfast.Config, f func(name string, v reflect.Value)) {
	var each func(at string, v reflect.Value)
	each = func(at string, v reflect.Value) {
		for i := range v.NumField() {
			name := at + v.Type().Field(i).Name
			if v.Field(i).Kind() == reflect.Struct {
				each(name+".", v.Field(i))
			} else {
				f(name, v.Field(i))
			}
		}
	}
	each("", reflect.ValueOf(cfg).Elem())
}

// Each field of Config has one row, and each row a field. The row's key is the field's name
// (a file has no part within a part), and no other row has its key or its variable.
func TestTableHasEveryField(t *testing.T) {
	rows := map[string]int{}
	taken := map[string]string{}
	for _, s := range table() {
		r := s.Info()
		rows[r.Name]++
		if key := strings.ReplaceAll(r.Key, "_", ""); key != "" && key != strings.ToLower(strings.Replace(r.Name, ".Throttled.", ".Throttled", 1)) {
			t.Errorf("%s has the key %s", r.Name, r.Key)
		}
		if r.Doc == "" {
			t.Errorf("%s has no doc", r.Name)
		}
		for _, name := range []string{r.Key, r.OldKey, r.Env, r.OldEnv} {
			if other, is := taken[name]; is && name != "" {
				t.Errorf("%s and %s have the name %s", r.Name, other, name)
			}
			taken[name] = r.Name
		}
	}
	fields(new(holdfast.Config), func(name string, _ reflect.Value) {
		if rows[name] != 1 {
			t.Errorf("Config.%s has %d rows", name, rows[name])
		}
		delete(rows, name)
	})
	for name := range rows {
		t.Errorf("Config has no field %s", name)
	}
}

// The comment of each field gives the default that its row has.
func TestCommentsHaveTheDefaults(t *testing.T) {
	comments := map[string]string{}
	f, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{
		"Config": "", "Timeouts": "Timeouts.", "Pool": "Pool.", "Retry": "Retry.", "Schedule": "Retry.Throttled.", "BreakerConfig": "Breaker.", "BulkheadConfig": "Bulkhead.",
	}
	for n := range ast.Preorder(f) {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range s.Fields.List {
				comments[parts[spec.Name.Name]+field.Names[0].Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
			}
		}
	}
	given := regexp.MustCompile(`Default (\S+?(?: MiB)?)[.,;:]? `)
	cfg := holdfast.Config{BaseURL: "http://a.test"}
	asked := 0
	for _, s := range table() {
		if p := s.Resolve(&cfg, false); p != nil {
			t.Error(p)
		}
		want := strings.ToLower(s.Text(&cfg))
		name := s.Info().Name
		m := given.FindStringSubmatch(comments[name] + " ")
		switch {
		case m == nil && strings.Contains(comments[name], "Default: "), m == nil && (want == "" || want == "false"), name == "BaseURL":
			continue
		case m == nil:
			t.Errorf("the comment of %s gives no default, want %s", name, want)
			continue
		}
		got := strings.ToLower(m[1])
		if d, err := time.ParseDuration(got); err == nil {
			got = d.String()
		}
		if n, ok := strings.CutSuffix(got, " mib"); ok {
			mib, _ := strconv.Atoi(n)
			got = strconv.Itoa(mib << 20)
		}
		if asked++; strings.TrimPrefix(got, "repeat") != want {
			t.Errorf("the comment of %s gives the default %s, want %s", name, m[1], want)
		}
	}
	if asked < 20 {
		t.Errorf("%d comments were read", asked)
	}
}
