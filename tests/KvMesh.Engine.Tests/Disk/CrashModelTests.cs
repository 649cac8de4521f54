using System.Diagnostics;
using System.Globalization;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>
/// A tier over a folder that dies at any step, by the end of the process or by loss of power. Whatever comes back must be what was written,
/// must not have been removed, and must hold everything that was acknowledged. A failure names its seed.
/// </summary>
public sealed class CrashModelTests
{
    /// <summary>Seeds of a short run; KVMESH_FUZZ_SECONDS sets how long to go on with further ones.</summary>
    private const int Seeds = 400;

    [Fact]
    public void What_was_acknowledged_comes_back_and_what_was_removed_does_not()
    {
        var budget = Environment.GetEnvironmentVariable("KVMESH_FUZZ_SECONDS") is { Length: > 0 } seconds
            ? TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture))
            : TimeSpan.Zero;
        var start = Stopwatch.GetTimestamp();
        var failures = new List<string>();
        for (var seed = 0; seed < Seeds || Stopwatch.GetElapsedTime(start) < budget; seed++)
        {
            using var model = new CrashModel(seed);
            try
            {
                model.Run();
            }
            catch (Exception failure)
            {
                failures.Add($"Seed {seed}: {failure.Message}{Environment.NewLine}{(failures.Count == 0 ? model.History : "")}");
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} seeds failed.{Environment.NewLine}{string.Join(Environment.NewLine, failures.Take(10))}");
    }
}
