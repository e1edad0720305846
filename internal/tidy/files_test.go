package tidy

// roomIsExplained: a package says what it is for, in a file that is not a test
// unless it has nothing but tests.
func roomIsExplained(room string, sources []source) []problem {
	testsOnly := true
	for _, s := range sources {
		testsOnly = testsOnly && s.isTest()
	}
	for _, s := range sources {
		// Text leaves out directives, which are comments to a tool.
		if s.isTest() == testsOnly && s.file.Doc.Text() != "" {
			return nil
		}
	}
	return []problem{{path: room, text: "has no package comment"}}
}
