using KvMesh.Cluster;
using KvMesh.Engine.Telemetry;
using KvMesh.Gateway.Telemetry;
using KvMesh.Remote;
using KvMesh.Server.Options;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace KvMesh.Server.Telemetry;

/// <summary>Sends metrics and traces to a collector while it lives. A collector that does not answer costs nothing but the figures.</summary>
internal sealed class OtlpExport : IDisposable
{
    private const int ShutdownMilliseconds = 2000;

    private readonly MeterProvider _meters;
    private readonly TracerProvider _tracers;

    private OtlpExport(Uri endpoint, TelemetryOptions options, string nodeId, string version)
    {
        var resource = ResourceBuilder.CreateDefault().AddService("kvmesh", serviceVersion: version, serviceInstanceId: nodeId);
        _meters = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddMeter(NodeMetrics.MeterName, GatewayMetrics.MeterName, "System.Runtime", "Microsoft.AspNetCore.Hosting")
            .AddOtlpExporter((exporter, reader) =>
            {
                Configure(exporter, endpoint, "v1/metrics", options);
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = (int)options.OtlpInterval.TotalMilliseconds;
            })
            .Build();
        _tracers = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddSource(NodeActivities.SourceName, EngineActivities.SourceName, ClusterActivities.SourceName, RemoteActivities.SourceName, "Microsoft.AspNetCore")
            .AddOtlpExporter(exporter => Configure(exporter, endpoint, "v1/traces", options))
            .Build();
    }

    /// <summary>Starts to send, or returns null when no collector is configured.</summary>
    public static OtlpExport? Start(TelemetryOptions options, string nodeId, string version)
    {
        var endpoint = options.OtlpEndpoint.Length > 0 ? options.OtlpEndpoint : Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT");
        return Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) ? new OtlpExport(uri, options, nodeId, version) : null;
    }

    public void Dispose()
    {
        _meters.Shutdown(ShutdownMilliseconds);
        _tracers.Shutdown(ShutdownMilliseconds);
        _meters.Dispose();
        _tracers.Dispose();
    }

    private static void Configure(OtlpExporterOptions exporter, Uri endpoint, string signalPath, TelemetryOptions options)
    {
        // Over HTTP, because plain HTTP/2 needs prior knowledge that proxies in between often lack. The address of the
        // collector is its base, as in the environment variable; a path is added for each signal.
        exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
        exporter.Endpoint = new Uri(endpoint.AbsoluteUri.TrimEnd('/') + "/" + signalPath);
        if (options.OtlpHeaders.Length > 0)
        {
            exporter.Headers = options.OtlpHeaders;
        }
    }
}
