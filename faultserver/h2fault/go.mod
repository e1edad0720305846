module github.com/holdfast-go/holdfast/faultserver/h2fault

go 1.26.0

require (
	github.com/holdfast-go/holdfast v0.0.0
	golang.org/x/net v0.62.0
)

require golang.org/x/text v0.43.0 // indirect

// The holdfast of this repository.
replace github.com/holdfast-go/holdfast => ../../
