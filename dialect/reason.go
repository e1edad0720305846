package dialect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxReason = 200  // bytes of a Verdict.Text
	maxRead   = 1000 // bytes of a message that are read for it
)

const hidden = "[hidden]"

// reason returns a service's message as a Verdict.Text: one line of printable characters,
// bounded, in which a word that may be a credential is hidden.
func reason(message string) string {
	cut := len(message) > maxRead
	words := strings.FieldsFunc(message[:min(len(message), maxRead)], func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError })
	if cut && len(words) > 0 {
		words = words[:len(words)-1] // it may be a part
	}
	var b strings.Builder
	previous := ""
	for i, word := range words {
		shown := word
		if announcesSecret(previous) || mayBeSecret(word) {
			shown = hidden + word[len(strings.TrimRight(word, ".,")):]
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(shown)
		previous = word
	}
	text := b.String()
	if len(text) <= maxReason && !cut {
		return text
	}
	const more = "…"
	n := min(len(text), maxReason-len(more))
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + more
}

// secretNames are ends of words that name a secret, in lower case.
var secretNames = [...]string{"key", "token", "secret", "password", "credential", "signature", "authorization"}

// announcesSecret reports whether a credential may follow a word.
func announcesSecret(word string) bool {
	word = strings.ToLower(strings.Trim(word, `"'`))
	if word == "bearer" || word == "basic" || strings.HasSuffix(word, "provided:") {
		return true
	}
	name := strings.TrimRight(word, ":=")
	return len(name) < len(word) && namesSecret(strings.Trim(name, `"'`))
}

func namesSecret(name string) bool {
	for _, end := range secretNames {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// secretPrefixes begin the keys of services.
var secretPrefixes = [...]string{
	"sk-", "sk_", "pk-", "rk_", "key-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AIza", "ya29", "AKIA", "ASIA", "ABSK",
	"xox", "hf_", "gsk_", "xai-", "r8_", "eyJ", "nvapi-", "pplx-",
}

// mayBeSecret reports whether a word looks like a credential: it has the form of one, or a
// long run of letters and digits, or a part that the service has masked.
func mayBeSecret(word string) bool {
	if strings.Contains(word, "***") || strings.Contains(word, "•••") {
		return true
	}
	lower := strings.ToLower(word)
	for i := 0; i+1 < len(lower); i++ { // api_key=…
		if (lower[i] == '=' || lower[i] == ':') && namesSecret(strings.TrimRight(lower[:i], `"'`)) {
			return true
		}
	}
	isKeyByte := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
	}
	for token := range strings.FieldsFuncSeq(word, func(r rune) bool { return !isKeyByte(r) }) {
		for _, prefix := range secretPrefixes {
			if len(token) >= 8 && strings.HasPrefix(token, prefix) {
				return true
			}
		}
		run, letters, digits := 0, 0, 0
		for i := 0; i < len(token); i++ {
			switch c := token[i]; {
			case c == '_' || c == '-':
				run, letters, digits = 0, 0, 0
				continue
			case '0' <= c && c <= '9':
				digits++
			default:
				letters++
			}
			if run++; run >= 16 && letters > 0 && digits > 0 || run >= 32 {
				return true
			}
		}
	}
	return false
}
