using System.CommandLine;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The options that every verb has.</summary>
internal sealed class RunOptions
{
    private readonly Option<double> _seconds;
    private readonly Option<int> _repeats = new("--repeats") { Description = "Runs of each contender; the median counts.", DefaultValueFactory = _ => 5 };
    private readonly Option<double> _patience = new("--patience") { Description = "Seconds to wait before each run while other processes are busy; a run beside them is made again, four times at most. 0: neither." };
    private readonly Option<bool> _json = new("--json") { Description = "One JSON object on standard output instead of a Markdown table." };

    private RunOptions(double seconds) =>
        _seconds = new Option<double>("--seconds") { Description = "Length of one run.", DefaultValueFactory = _ => seconds };

    /// <summary>Makes a verb whose work is told the options and prints the report that it returns.</summary>
    public static Command Verb(string name, string description, double seconds, Action<Command> configure, Func<ParseResult, RunSettings, Report> run)
    {
        var options = new RunOptions(seconds);
        var command = new Command(name, description) { options._seconds, options._repeats, options._patience, options._json };
        configure(command);
        command.SetAction(parse => options.Run(parse, run));
        return command;
    }

    private int Run(ParseResult parse, Func<ParseResult, RunSettings, Report> run)
    {
        var settings = new RunSettings(TimeSpan.FromSeconds(parse.GetValue(_seconds)), parse.GetValue(_repeats), TimeSpan.FromSeconds(parse.GetValue(_patience)));
        if (settings.Time <= TimeSpan.Zero || settings.Repeats < 1)
        {
            Console.Error.WriteLine("--seconds must be above 0 and --repeats at least 1.");
            return 2;
        }

        try
        {
            var report = run(parse, settings);
            Console.Out.WriteLine(parse.GetValue(_json) ? report.ToJson() : report.ToMarkdown());
            return 0;
        }
        catch (LoadTestException e)
        {
            Console.Error.WriteLine($"{parse.CommandResult.Command.Name}: {e.Message}");
            return 1;
        }
    }
}

/// <summary>Thread counts of a scaling curve, as far as the machine has cores.</summary>
internal static class ThreadCounts
{
    private static readonly int[] All = [1, 2, 4, 8, 14];

    public static IEnumerable<int> OfThisMachine => All.Where(count => count <= Environment.ProcessorCount);
}

/// <summary>How long and how often a verb measures, and how long it waits for a quiet machine.</summary>
internal sealed record RunSettings(TimeSpan Time, int Repeats, TimeSpan Patience)
{
    public static void Progress(string what) => Console.Error.WriteLine($"[{TimeProvider.System.GetUtcNow():HH:mm:ss}] {what}");
}
