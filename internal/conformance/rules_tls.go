package conformance

import "github.com/holdfast-go/holdfast/fault"

// certificateRule returns the rule of an invalid certificate.
func certificateRule(f fault.TLS, why string) Rule {
	return Rule{
		Fault: fault.ID("tls." + f), Plan: everyConnection(fault.ConnFault{TLS: f}), TLS: true,
		Want: Refused, Least: 1, Most: 1, Why: why,
		Sources: []string{badCert, transient + ": a certificate is not among them"},
	}
}

var tlsRules = []Rule{
	certificateRule(fault.TLSExpired, "an expired certificate fails again: one handshake, and no request"),
	certificateRule(fault.TLSWrongHost, "a certificate for another host fails again: one handshake, and no request"),
	certificateRule(fault.TLSUntrusted, "a certificate from an unknown authority fails again: one handshake, and no request"),
	{
		Fault: "tls.handshake_stall", Plan: onceConnection(fault.ConnFault{TLS: fault.TLSHandshakeStall}), TLS: true,
		Want: Answered, Least: 2, Most: 2,
		Why:     "a handshake that stops is replaced by another at the limit",
		Sources: []string{transient, "curl(1), --connect-timeout: it includes the TLS handshake"},
	},
	{
		Fault: "tls.alert", Plan: everyConnection(fault.ConnFault{TLS: fault.TLSAlert}), TLS: true,
		Want: Refused, Least: 1,
		Why:     "a handshake that the service rejects is an error, and soon",
		Sources: []string{"RFC 8446, 6.2: a fatal alert ends the connection"},
	},
	{
		Fault: "tls.client_certificate", Plan: everyConnection(fault.ConnFault{TLS: fault.TLSClientCertificate}), TLS: true,
		Want: Refused, Least: 1,
		Why:     "a missing client certificate is an error, and soon",
		Sources: []string{"RFC 8446, 6.2: certificate_required ends the connection"},
	},
}
