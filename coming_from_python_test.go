package holdfast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// pythonNames are the names of both design documents: classes, functions, parameters,
// settings, exceptions.
const pythonNames = `
ResilientClient httpx.AsyncClient httpx.Client lifespan httpx.Timeout connect read write pool uuid.uuid4 X-Request-ID
tenacity wait_random_exponential asyncio.Semaphore asyncio.wait_for
RetryableError MyAPIError APIConnectionError APITimeoutError httpx.TimeoutException ServerTimeoutError
ServiceUnavailableError ServerError APIStatusError AuthenticationError NotFoundError InvalidRequestError PoolTimeoutError
CircuitBreaker CircuitState.CLOSED CircuitState.OPEN CircuitState.HALF_OPEN threshold failure_threshold timeout
half_open_max_calls can_attempt record_success record_failure get_state get_stats threading.Lock
HttpClient HttpClientConfig base_url headers default_timeout connect_timeout write_timeout pool_timeout
max_connections max_keepalive_connections keepalive_expiry max_retries retry_base_delay retry_max_delay
circuit_breaker_threshold circuit_breaker_timeout circuit_breaker_half_open_max_calls __post_init__
post get apost aget stream_post aiter_lines client.circuit_breaker response.json() response.status_code
HttpClientFactory HttpClientFactory.get_client HttpClientFactory.reset _clients _lock reset_http_client_factory
with_retry HttpClient.with_retry base_delay max_delay exceptions operation_name
RuntimeError PoolTimeout ConnectionError TimeoutError ClientError DatabaseError OperationalError
MixedbreadEmbeddingProvider OllamaEmbeddingProvider BedrockLLMProvider boto3.client embed_batch Settings config.py
ollama_embedding_timeout ollama_llm_timeout ollama_health_check_timeout mixedbread_timeout ollama_max_retries
health_check embed_large_batch generate_with_fallback logging.getLogger MagicMock
test_circuit_breaker_opens_on_threshold
`

// The left column of docs/coming-from-python.md has every name of the design documents, and
// the right columns have only names that exist.
func TestComingFromPython(t *testing.T) {
	page, err := os.ReadFile("docs/coming-from-python.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	python := map[string]bool{}
	found := 0
	known := exported(t)
	for _, row := range regexp.MustCompile(`(?m)^\| (.*) \| (.*) \| ?(.*)\|$`).FindAllStringSubmatch(string(page), -1) {
		for _, name := range code.FindAllStringSubmatch(row[1], -1) {
			python[name[1]] = true
		}
		for _, name := range code.FindAllStringSubmatch(row[2]+row[3], -1) {
			path, is := goName(name[1])
			if !is {
				continue
			}
			found++
			if !known.has(path) {
				t.Errorf("there is no %s (%s)", name[1], row[0])
			}
		}
	}
	for _, name := range strings.Fields(pythonNames) {
		if !python[name] {
			t.Errorf("the page does not have %s", name)
		}
	}
	if found < 100 {
		t.Errorf("%d names of this module were found", found)
	}

	// Every message of the table is that of an event.
	_, logs, _ := strings.Cut(string(page), "| Python | message | level |")
	logs, _, _ = strings.Cut(logs, "\n\n")
	messages := map[string]bool{}
	for kind := holdfast.EventStarted; kind.String() != "invalid"; kind++ {
		messages[kind.String()] = true
	}
	rows := regexp.MustCompile("(?m)^\\| .* \\| `([a-z][^`]*)` \\|").FindAllStringSubmatch(logs, -1)
	for _, row := range rows {
		if !messages[row[1]] {
			t.Errorf("no event is logged as %q", row[1])
		}
	}
	equal(t, "messages in the table", len(rows), 10)
}

// goName is the name in a piece of code of the page, with its package; false if it is no name
// of this module.
func goName(code string) (path []string, ok bool) {
	code, _, _ = strings.Cut(code, "(")
	code = strings.TrimPrefix(code, "*")
	path = strings.Split(code, ".")
	switch path[0] {
	case "holdfast":
		return path[1:], true
	case "settings", "faultserver", "mixedbread", "ollama", "bedrock":
		return path, len(path) > 1
	}
	return path, regexp.MustCompile(`^[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*)*$`).MatchString(code)
}

// names are exported names: those of a package by its name, and the methods and fields of a
// type by its name, with the type of each field.
type names map[string]map[string]string

func (n names) has(path []string) bool {
	pkg := ""
	if _, other := n[path[0]]; other {
		pkg, path = path[0], path[1:]
	}
	if _, ok := n[pkg][path[0]]; !ok {
		return false
	}
	of := path[0]
	for _, member := range path[1:] {
		next, ok := n.member(pkg, of, member)
		if !ok {
			return false
		}
		of = next
	}
	return true
}

// member looks in a type and in its embedded types.
func (n names) member(pkg, typ, name string) (of string, ok bool) {
	if of, ok = n[pkg][typ+"."+name]; ok {
		return of, true
	}
	if embedded := n[pkg][typ+"."]; embedded != "" {
		return n.member(pkg, embedded, name)
	}
	return "", false
}

func exported(t *testing.T) names {
	t.Helper()
	all := names{}
	for pkg, dir := range map[string]string{
		"": ".", "settings": "settings", "faultserver": "faultserver",
		"mixedbread": "provider/mixedbread", "ollama": "provider/ollama", "bedrock": "provider/bedrock",
	} {
		all[pkg] = map[string]string{}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				all.declare(pkg, decl)
			}
		}
	}
	return all
}

func (n names) declare(pkg string, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = typeName(d.Recv.List[0].Type) + "." + name
		}
		n[pkg][name] = ""
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					n[pkg][name.Name] = ""
					if s.Values != nil { // DefaultRegistry = new(Registry): a method may follow
						if call, ok := s.Values[0].(*ast.CallExpr); ok && len(call.Args) == 1 {
							n[pkg][name.Name+"."] = typeName(call.Args[0])
						}
					}
				}
			case *ast.TypeSpec:
				n[pkg][s.Name.Name] = ""
				st, ok := s.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range st.Fields.List {
					if field.Names == nil {
						n[pkg][s.Name.Name+"."] = typeName(field.Type)
					}
					for _, name := range field.Names {
						n[pkg][s.Name.Name+"."+name.Name] = typeName(field.Type)
					}
				}
			}
		}
	}
}

// typeName is the name of a type without its star and its parameters.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	}
	return ""
}
