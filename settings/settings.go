// Package settings reads the configuration of services from a JSON file and the
// environment, and gives a [holdfast.Config] for each.
//
//	{"providers": {
//	  "mixedbread": {
//	    "api_key": "${MIXEDBREAD_API_KEY}",
//	    "timeouts": {"attempt": "45s"},
//	    "retry": {"max_retries": 2}
//	  },
//	  "ollama": {"timeouts": {"embedding": 120.0}},
//	  "search": {"base_url": "https://search.example.com"}
//	}}
//
// The environment wins over the file, and the file over the defaults. In the
// file, ${NAME} in a string stands for a variable, and $$ for a dollar. A variable
// that is empty counts as one that is not set, since Docker Compose and CI systems
// pass unset variables on as empty ones.
//
// A duration is "90s", as [time.ParseDuration] reads it, or a number of seconds,
// 90.0. Zero means the default, and "off" means none where a setting can be off.
// docs/settings.md lists every setting.
//
// The presets [CloudAPI], [LocalService] and [Database] are for programs that set
// everything in code.
package settings

// Settings is the configuration of every provider. [Load] makes it.
type Settings struct {
	Mixedbread Provider
	Ollama     Ollama
	// Others are the further providers of the file, by name. Their defaults are
	// those of [holdfast.Config].
	Others map[string]Provider
	// Sources has the value of every setting, and where it comes from.
	Sources []Source
	// Warnings has the settings that were given under a former name. They are in force.
	Warnings []Problem
}

// Source is where the value of a setting comes from.
type Source struct {
	Setting string // its place in the file: "providers.mixedbread.retry.base_delay"
	// Value is the value as files have it. Credentials are hidden, and a variable in
	// the path of an address is shown by its ${NAME}.
	Value    string
	File     string // the file, if the value is from there
	Variable string // the environment variable, if the value is from there
}

// From is "default", the file's path, or the variable's name after a dollar.
func (s Source) From() string {
	switch {
	case s.Variable != "":
		return "$" + s.Variable
	case s.File != "":
		return s.File
	}
	return "default"
}
