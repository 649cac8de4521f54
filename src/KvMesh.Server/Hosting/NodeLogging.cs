using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Hosting;

/// <summary>Makes the log of a node. Standard output belongs to commands, so entries go to standard error.</summary>
internal static class NodeLogging
{
    public static ILoggerFactory Create(LogOptions options, Action<ILoggingBuilder>? other) => LoggerFactory.Create(logging =>
    {
        logging.SetMinimumLevel(options.Level);

        // Requests of operators are counted, not logged one by one; failures of the server are.
        logging.AddFilter("Microsoft", options.Level > LogLevel.Warning ? options.Level : LogLevel.Warning);

        // A silo tells each of its steps; what matters of them the node says itself.
        logging.AddFilter("Orleans", options.Level > LogLevel.Warning ? options.Level : LogLevel.Warning);

        // A start that fails is told once, by whoever asked for it; the host would add its stack trace.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        if (other is not null)
        {
            other(logging);
            return;
        }

        logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        if (options.Json)
        {
            logging.AddJsonConsole(json => json.UseUtcTimestamp = true);
        }
        else
        {
            logging.AddSimpleConsole(line =>
            {
                line.SingleLine = true;
                line.TimestampFormat = "HH:mm:ss.fff ";
                line.UseUtcTimestamp = true;
            });
        }
    });
}
