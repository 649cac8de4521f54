using System.Globalization;
using System.Text;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Networks;

/// <summary>
/// Each party in a network namespace of its own, all joined by one that forwards between them and to the workload, which stays outside. A cut is a rule there
/// that drops what goes from one address to another. The namespaces have names that tell whose they are; with them go their interfaces, addresses and rules.
/// </summary>
internal sealed class NamespaceNetwork : MeshNetwork
{
    // A name of an interface has at most 15 characters, and a process id seven digits.
    private const string Prefix = "kvf";
    private const string Outside = "out";

    private static int _networks;

    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}-{Interlocked.Increment(ref _networks)}");
    private readonly List<string> _parties;
    private readonly string _subnet;
    private readonly List<string> _cuts = [];

    private NamespaceNetwork(IReadOnlyList<string> nodes, string subnet)
    {
        _parties = [Outside, Redis, .. nodes];
        _subnet = subnet;
    }

    public override string Kind => "network namespaces";

    private string Hub => $"{_name}-hub";

    /// <summary>Null: this machine does not let it, for lack of rights, of programs, or of something in its kernel.</summary>
    public static async Task<NamespaceNetwork?> TryCreateAsync(IReadOnlyList<string> nodes)
    {
        NamespaceNetwork? network = null;
        try
        {
            network = new NamespaceNetwork(nodes, await FreeSubnetAsync());
            await RunAsync(network.Plan());
            return network;
        }
        catch (Exception exception) when (exception is LoadTestException or InvalidOperationException)
        {
            await (network?.DisposeAsync() ?? ValueTask.CompletedTask);
            return null;
        }
    }

    public override string[] ProgramOf(string party) => ["ip", "netns", "exec", NamespaceOf(party)];

    public override string HostOf(string party) => AddressOf(party);

    public override string RedisFor(string node, int port) => $"{AddressOf(Redis)}:{port}";

    /// <summary>Nobody else is in these networks, but a node cannot know that.</summary>
    public override IEnumerable<(string Option, string Value)> OptionsFor(string node, int nativePort) => [("Insecure", "true")];

    public override async Task CutAsync(string from, string to)
    {
        var cut = $"from {AddressOf(from)} to {AddressOf(to)} blackhole";
        _cuts.Add(cut);
        await RunAsync($"ip -n {Hub} rule add {cut}");
    }

    public override async Task MendAsync()
    {
        foreach (var cut in _cuts)
        {
            await RunAsync($"ip -n {Hub} rule del {cut}");
        }

        _cuts.Clear();
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var name in _parties.Skip(1).Select(NamespaceOf).Append(Hub))
        {
            // Those that were not made are not there to be deleted.
            await ChildProcess.RunAsync("ip", ["netns", "del", name], Eventually.Patience);
        }
    }

    private string NamespaceOf(string party) => $"{_name}-{party}";

    private string AddressOf(string party) => Address(_parties.IndexOf(party), 2);

    private string Address(int party, int host) => string.Create(CultureInfo.InvariantCulture, $"{_subnet}.{(4 * party) + host}");

    /// <summary>A line to each party, of which each end knows only the other one. The last command proves that a way can be cut.</summary>
    private string Plan()
    {
        var plan = new StringBuilder($"ip netns add {Hub}\nip -n {Hub} link set lo up\nip netns exec {Hub} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'\n");
        for (var party = 0; party < _parties.Count; party++)
        {
            var name = NamespaceOf(_parties[party]);
            var at = party == 0 ? "" : $"-n {name}";
            plan.Append(party == 0 ? "" : $"ip netns add {name}\nip -n {name} link set lo up\n")
                .Append(CultureInfo.InvariantCulture, $"ip -n {Hub} link add p{party} type veth peer name {_name} netns {(party == 0 ? "$$" : name)}\n")
                .Append(CultureInfo.InvariantCulture, $"ip -n {Hub} addr add {Address(party, 1)}/30 dev p{party}\nip -n {Hub} link set p{party} up\n")
                .Append(CultureInfo.InvariantCulture, $"ip {at} addr add {Address(party, 2)}/30 dev {_name}\nip {at} link set {_name} up\n")
                .Append(CultureInfo.InvariantCulture, $"ip {at} route add {_subnet}.0/24 via {Address(party, 1)}\n");
        }

        var proof = $"from {Address(1, 2)} to {Address(2, 2)} blackhole";
        return plan.Append(CultureInfo.InvariantCulture, $"ip -n {Hub} rule add {proof}\nip -n {Hub} rule del {proof}\n").ToString();
    }

    /// <summary>One of the networks that are set aside for tests of equipment (RFC 2544), and are no way to anywhere.</summary>
    private static async Task<string> FreeSubnetAsync()
    {
        var (_, taken, _) = await ChildProcess.RunAsync("ip", ["-4", "addr"], Eventually.Patience);
        for (var tries = 0; tries < 100; tries++)
        {
            var subnet = string.Create(CultureInfo.InvariantCulture, $"198.{Random.Shared.Next(18, 20)}.{Random.Shared.Next(256)}");
            if (!taken.Contains(subnet + ".", StringComparison.Ordinal))
            {
                return subnet;
            }
        }

        throw new LoadTestException("No network of 198.18.0.0/15 is free.");
    }

    private static async Task RunAsync(string commands)
    {
        var (exitCode, _, error) = await ChildProcess.RunAsync("sh", ["-ec", commands], Eventually.Patience);
        if (exitCode != 0)
        {
            throw new LoadTestException($"'{commands}' failed: {error}");
        }
    }
}
