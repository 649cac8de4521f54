using System.Diagnostics;
using System.Globalization;

namespace KvMesh.LoadTest.Processes;

/// <summary>The same model in python3-torch, in a process of its own that computes what it is told and says how long it took.</summary>
internal sealed class TorchProcess : IDisposable
{
    private readonly Process _process;

    public TorchProcess(string directory, int threads)
    {
        var script = Path.Combine(Root(), "tests", "python", "llama_reference.py");
        _process = Process.Start(new ProcessStartInfo("/usr/bin/python3", [script, "measure", directory, $"{threads}"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["OPENBLAS_NUM_THREADS"] = $"{threads}", ["OMP_NUM_THREADS"] = $"{threads}", ["PYTHONDONTWRITEBYTECODE"] = "1" },
        }) ?? throw new LoadTestException("/usr/bin/python3 cannot be started.");
        if (Read() != "ready")
        {
            throw new LoadTestException($"{script} does not start; it needs python3-torch.");
        }
    }

    public int Id => _process.Id;

    /// <summary>Seconds that one order took.</summary>
    public double Run(string order)
    {
        _process.StandardInput.WriteLine(order);
        _process.StandardInput.Flush();
        return double.Parse(Read(), CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private string Read() => _process.StandardOutput.ReadLine() ?? throw new LoadTestException("the python3-torch process ended.");

    private static string Root()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "KvMesh.sln")))
        {
            directory = directory.Parent ?? throw new LoadTestException($"no KvMesh.sln above {AppContext.BaseDirectory}.");
        }

        return directory.FullName;
    }
}
