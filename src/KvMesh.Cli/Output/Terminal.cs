using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>
/// The standard streams of one invocation. Results go to standard output; progress, logs and errors to standard error, so
/// that a pipe or a script gets results only.
/// </summary>
internal sealed class Terminal
{
    /// <summary>Width of lines when nothing is there that could wrap them: no address is broken in two for a program that reads tables.</summary>
    private const int RedirectedWidth = 500;

    private readonly Func<Stream> _openOut;

    public Terminal(TextWriter output, TextWriter error, bool outIsTerminal, bool errorIsTerminal, Func<Stream> openOut)
    {
        Out = output;
        Error = error;
        OutIsTerminal = outIsTerminal;
        ErrorIsTerminal = errorIsTerminal;
        Screen = CreateConsole(output, outIsTerminal);
        Progress = CreateConsole(error, errorIsTerminal);
        _openOut = openOut;
    }

    public TextWriter Out { get; }

    public TextWriter Error { get; }

    public bool OutIsTerminal { get; }

    public bool ErrorIsTerminal { get; }

    /// <summary>Standard output with colours, where it is a terminal.</summary>
    public IAnsiConsole Screen { get; }

    /// <summary>Standard error with colours, where it is a terminal.</summary>
    public IAnsiConsole Progress { get; }

    public static Terminal OfProcess()
    {
        Console.OutputEncoding = new System.Text.UTF8Encoding(false);
        return new Terminal(
            Console.Out, Console.Error, !Console.IsOutputRedirected, !Console.IsErrorRedirected, Console.OpenStandardOutput);
    }

    /// <summary>Whether a JSON object was written.</summary>
    public bool HasJson { get; private set; }

    /// <summary>Standard output for bytes instead of text.</summary>
    public Stream OpenOut() => _openOut();

    /// <summary>Writes one JSON object on a line of its own.</summary>
    public void WriteJson<T>(T value, JsonTypeInfo<T> type)
    {
        HasJson = true;
        Out.WriteLine(JsonSerializer.Serialize(value, type));
    }

    private static IAnsiConsole CreateConsole(TextWriter writer, bool isTerminal)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!isTerminal)
        {
            console.Profile.Width = RedirectedWidth;
        }

        console.Profile.Capabilities.Unicode = true;
        return console;
    }
}
