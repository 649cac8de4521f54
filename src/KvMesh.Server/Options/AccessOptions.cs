namespace KvMesh.Server.Options;

/// <summary>Who may do what.</summary>
public sealed class AccessOptions
{
    /// <summary>Path of the token file; it is read again when it changes. Empty: no credentials, everyone is tenant <c>default</c>.</summary>
    public string TokenFile { get; set; } = "";
}

/// <summary>Figures that go elsewhere by themselves.</summary>
public sealed class TelemetryOptions
{
    /// <summary>Collector for metrics and traces over OTLP. Empty: $OTEL_EXPORTER_OTLP_ENDPOINT; without both nothing is sent.</summary>
    public string OtlpEndpoint { get; set; } = "";

    /// <summary>Headers for the collector, <c>name=value</c> separated by commas. Empty: $OTEL_EXPORTER_OTLP_HEADERS.</summary>
    [Secret]
    public string OtlpHeaders { get; set; } = "";

    /// <summary>Time between two exports of metrics.</summary>
    public TimeSpan OtlpInterval { get; set; } = TimeSpan.FromSeconds(15);
}

/// <summary>What is written to the log, which is standard error.</summary>
public sealed class LogOptions
{
    /// <summary>Least severe level that is written: Trace, Debug, Information, Warning, Error, Critical or None.</summary>
    public Microsoft.Extensions.Logging.LogLevel Level { get; set; } = Microsoft.Extensions.Logging.LogLevel.Information;

    /// <summary>Whether each entry is one JSON object instead of a line of text.</summary>
    public bool Json { get; set; }
}

/// <summary>Marks an option whose value is shown to nobody.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SecretAttribute : Attribute;
