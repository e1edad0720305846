package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

func document(all []figures, each time.Duration) string { return fmt.Sprint(all, each, runtime.Version(), slices.Max([]int{1}), strings.ToUpper("")) }
