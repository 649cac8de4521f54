using System.Diagnostics;

namespace KvMesh.TestKit;

/// <summary>
/// Runs an attempt for one seed after another: a fixed number of them, or as many as KVMESH_FUZZ_SECONDS allow. KVMESH_FUZZ_SEED begins
/// elsewhere; a failure names the seed that shows it again.
/// </summary>
public static class Fuzz
{
    private static readonly double Seconds = double.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SECONDS") ?? "0", null);
    private static readonly int FirstSeed = int.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SEED") ?? "1", null);

    /// <param name="rounds">Seeds of a short run.</param>
    /// <param name="attempt">Fails by an exception.</param>
    public static void Run(int rounds, Action<Random> attempt)
    {
        var startedAt = Stopwatch.GetTimestamp();
        for (var round = 0; round < rounds || Stopwatch.GetElapsedTime(startedAt).TotalSeconds < Seconds; round++)
        {
            var seed = FirstSeed + round;
            try
            {
                attempt(new Random(seed));
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"KVMESH_FUZZ_SEED={seed} fails: {failure.Message}", failure);
            }
        }
    }

    /// <summary>Bytes with a few changes, as they come off a bad disk or from a bad peer: other bytes, a cut, a part twice, a part missing.</summary>
    public static byte[] Damage(Random random, ReadOnlySpan<byte> source)
    {
        var bytes = new List<byte>(source.ToArray());
        for (var changes = random.Next(1, 5); changes > 0; changes--)
        {
            var at = random.Next(bytes.Count + 1);
            var rest = bytes.Count - at;
            var length = Math.Min(rest, 1 + random.Next(random.Next(2) == 0 ? 4 : 64));
            switch (random.Next(8))
            {
                case 0:
                    bytes.RemoveRange(at, rest);
                    break;
                case 1:
                    bytes.RemoveRange(at, length);
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                default:
                    Overwrite(random, bytes, at, length);
                    break;
            }
        }

        return [.. bytes];
    }

    private static void Overwrite(Random random, List<byte> bytes, int at, int length)
    {
        var kind = random.Next(4);
        for (var index = at; index < at + length; index++)
        {
            bytes[index] = kind switch
            {
                0 => 0,
                1 => byte.MaxValue,
                2 => (byte)(bytes[index] ^ (1 << random.Next(8))),
                _ => (byte)random.Next(256),
            };
        }
    }
}
