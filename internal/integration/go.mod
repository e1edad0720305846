module github.com/holdfast-go/holdfast/internal/integration

go 1.26.0

require (
	github.com/holdfast-go/holdfast v0.0.0
	github.com/holdfast-go/holdfast/faultserver/h2fault v0.0.0
)

require (
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

// The holdfast of this repository.
replace (
	github.com/holdfast-go/holdfast => ../../
	github.com/holdfast-go/holdfast/faultserver/h2fault => ../../faultserver/h2fault
)
